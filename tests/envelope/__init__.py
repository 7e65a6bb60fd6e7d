"""Arguments and parameters of MAIL and RCPT."""

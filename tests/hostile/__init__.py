"""Peers and callers who mean harm: one module for each kind of attack, told by its name.

They run as all tests do: on both event loops, and on both twins of the codec and the session, the pure one in
``make test-pure``. What a codec function makes of hostile bytes is tested on both twins at once, beside them:
``test_codec_reply.py``, ``test_codec_data.py``, ``test_codec_command.py``.

==============================  ============================================================================
``test_starttls_injection``     bytes that were sent before TLS and would be believed after it
``test_starttls_stripping``     somebody in between hides, refuses or spoils STARTTLS, or what it protects
``test_certificates``           a server that is not the one it claims to be
``test_injection``              commands and parameters in what callers pass on from others
``test_injection_cli``          the same in the arguments of the command line
``test_header_injection``       header fields and recipients in what they make messages of
``test_smuggling``              messages with the end of a message, and another message, in them
``test_replies``                servers whose replies keep no rule
``test_address_confusion``      addresses that two readers read as different ones
``test_secrets``                wherever a password or a token could show
==============================  ============================================================================
"""

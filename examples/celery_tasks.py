"""Tasks of Celery that send mail: ``celery -A celery_tasks worker``."""

import os

from celery import Celery, Task

import aiosmtplib
from aiosmtplib import blocking

app = Celery("mail", broker=os.environ.get("BROKER_URL", "amqp://"))
mail = blocking.SMTPPool("localhost", port=int(os.environ.get("SMTP_PORT", "1025")), max_connections=1)


@app.task(bind=True, max_retries=5)
def send_mail(self: Task, sender: str, recipients: list[str], text: str) -> list[str]:
    try:
        refused, _ = mail.sendmail(sender, recipients, text)
    except aiosmtplib.SMTPException as error:
        temporary = isinstance(error, aiosmtplib.SMTPResponseException) and 400 <= error.code < 500
        if temporary or error.delivery is aiosmtplib.Delivery.NOT_SENT:
            raise self.retry(exc=error, countdown=60 * 2**self.request.retries) from error
        raise
    return sorted(refused)

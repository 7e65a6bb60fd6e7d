"""A Flask application whose views share the connections of a pool."""

import os

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

import aiosmtplib
from aiosmtplib import blocking

app = Flask(__name__)
mail = blocking.SMTPPool("localhost", port=int(os.environ.get("SMTP_PORT", "1025")), max_connections=4)


@app.post("/welcome/<address>")
def welcome(address: str) -> ResponseReturnValue:
    try:
        mail.sendmail("me@example.com", address, "Subject: Welcome\n\nGood to have you.\n")
    except aiosmtplib.SMTPException as error:
        return jsonify(error=str(error)), 503
    return jsonify(sent=True), 202

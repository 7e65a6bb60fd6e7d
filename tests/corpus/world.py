"""Mails in other scripts than Latin, and names with accents: subjects, names, bodies and file names."""

from collections.abc import Callable, Mapping
from email.headerregistry import Address
from email.message import EmailMessage

from .everyday import head
from .files import pdf

__all__ = ("LETTERS",)


def japanese() -> EmailMessage:
    message = head(
        "例 太郎 <taro@example.jp>",
        "山田 花子 <hanako@example.jp>",
        "【重要】十一月の会議の日程変更のお知らせ",
        31,
    )
    message.set_content(
        "山田様\n\nお世話になっております。\n会議は十一月二十七日に変更となりました。\n\n例 太郎\n"
    )
    return message


def russian() -> EmailMessage:
    message = head(
        "Служба поддержки <support@example.ru>",
        "Анна Иванова <anna@example.ru>",
        "Ваш заказ № 4711 отправлен и скоро будет у вас",
        32,
    )
    message["Cc"] = "Склад <warehouse@example.ru>, Бухгалтерия <accounts@example.ru>"
    message.set_content("Здравствуйте, Анна!\n\nВаш заказ отправлен.\n")
    message.add_alternative("<p>Здравствуйте, Анна!</p>\n<p>Ваш заказ отправлен.</p>\n", subtype="html")
    return message


def arabic() -> EmailMessage:
    message = head(
        "مكتبة المثال <books@example.com>", "ليلى <layla@example.com>", "كتابك الجديد في الطريق إليك", 33
    )
    message.set_content("مرحبا ليلى،\n\nتم إرسال كتابك اليوم.\n\nمع التحية\n")
    return message


def emoji() -> EmailMessage:
    message = head(
        "Example Shop 🛍️ <news@shop.example.com>",
        "jane.doe@example.org",
        "🎉 Last chance: 20 % off everything 🎁",
        34,
    )
    message.set_content("It ends tonight! 🎉\n\nhttps://shop.example.com/sale\n")
    message.add_alternative("<h1>It ends tonight! 🎉</h1>\n", subtype="html")
    return message


def german() -> EmailMessage:
    message = head(
        "Bürgerbüro Würzburg <buergerbuero@example.de>",
        "Jörg Groß <joerg.gross@example.de>",
        "Ihr Antrag über den Führerschein ist fertig",
        35,
    )
    message.set_content(
        "Sehr geehrter Herr Groß,\n\nIhr Führerschein kann abgeholt werden.\nÖffnungszeiten: 8-12 Uhr\n",
        cte="quoted-printable",
    )
    message.add_attachment(
        pdf("Bescheid"), maintype="application", subtype="pdf", filename="Gebührenbescheid.pdf"
    )
    return message


def many_recipients() -> EmailMessage:
    message = head("Club <club@example.com>", "members: ;", "Next meeting", 36)
    del message["To"]
    message["To"] = [Address(f"Member {number}", f"member{number}", "example.org") for number in range(25)]
    message["Cc"] = [Address("Zoë", "zoe", "example.org"), Address("Doe, Jane", "jane.doe", "example.org")]
    message.set_content("We meet on Friday.\n")
    return message


LETTERS: Mapping[str, Callable[[], EmailMessage]] = {
    "Japanese": japanese,
    "Russian": russian,
    "Arabic": arabic,
    "emoji": emoji,
    "German": german,
    "many recipients": many_recipients,
}

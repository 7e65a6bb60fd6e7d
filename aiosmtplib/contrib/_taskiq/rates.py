"""Rates that all workers share: of the relay, and of the domains of recipients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..._envelope.recipient import plain
from . import scripts
from .queue import Queue

__all__ = ("SharedRates",)

#: Moments are given out so many seconds ahead. More cost fewer commands, and a worker that stops for a while
#: sends what it was given at once.
AHEAD: Final = 0.1
#: Seconds after which a message comes back at most that found no moment for its domain.
LATEST: Final = 300
#: The domain that stands for all that are not named.
ANY: Final = "*"


class SharedRates:
    """The moments at which messages may be sent.

    :param queue: the outbox
    :param relay: the name of the relay
    :param rate: messages a second to the relay, over all workers; ``None`` for no limit
    :param domains: messages a second by domain of recipients, over all workers; ``"*"`` for each that is not
        named
    :raises ValueError: if one is not positive
    """

    def __init__(self, queue: Queue, relay: str, rate: float | None, domains: Mapping[str, float]) -> None:
        for each in (*domains.values(), *(() if rate is None else (rate,))):
            if not each > 0:
                raise ValueError(f"A rate is a positive number of messages a second, not {each}")
        self._key = queue.keys.rate
        self._relay = relay
        self._rate = rate
        self._domains = {name.lower(): value for name, value in domains.items()}
        self._script = queue.redis.register_script(scripts.RATE)

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self._rate is not None or bool(self._domains)

    async def moments(self, messages: Sequence[Sequence[str]]) -> list[float]:
        """The moments of messages, in seconds from now.

        :param messages: the recipients of each
        :return: for as many of them as the relay takes soon: when to send it; or, negative, when to ask again
        """
        rates: dict[str, float] = {}
        if self._rate is not None:
            rates[f"relay:{self._relay}"] = self._rate
        places: list[list[int]] = []
        for recipients in messages:
            own = []
            for domain in {_domain(who) for who in recipients}:
                rate = self._domains.get(domain, self._domains.get(ANY))
                if rate is not None:
                    name = f"domain:{domain}"
                    rates[name] = rate
                    own.append(name)
            names = list(rates)
            places.append([names.index(name) + 1 for name in own])
        keys = [f"{self._key}:{name}" for name in rates]
        arguments: list[str | float] = [
            *(AHEAD, LATEST, len(keys), 0 if self._rate is None else 1),
            *(1 / rate for rate in rates.values()),
        ]
        for place in places:
            arguments += [len(place), *place]
        if not keys:  # none of these domains has a rate
            return [0.0] * len(messages)
        answer = await self._script(keys=[*keys, *(f"{key}:back" for key in keys)], args=arguments)
        return [float(each) for each in answer]


def _domain(recipient: str) -> str:
    return plain(recipient).rpartition("@")[2].rstrip("> ").lower()

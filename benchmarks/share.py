"""Which share of realistic mails the serialiser writes itself, and what it leaves to the standard library.

python -m benchmarks.share
python -m benchmarks.share --fields      with each header field that it leaves to it
"""

import argparse
from collections import Counter

from aiosmtplib._codec import IMPLEMENTATION
from tests import corpus
from tests.support.serializing import Tally, flatten_counted

__all__ = ("share",)


def share() -> tuple[Tally, dict[str, Tally]]:
    """The counts over all of the corpus, and for each mail."""
    whole, each = Tally(), {}
    for name, build in corpus.realistic():
        each[name] = Tally()
        for tally in (whole, each[name]):
            flatten_counted(build(), False, "8bit", tally)
    return whole, each


def _fields() -> Counter[str]:
    """How often a field of this name is left to the standard library, each alone in a message."""
    left: Counter[str] = Counter()
    for _, build in corpus.realistic():
        for part in build().walk():
            for name, value in part.raw_items():
                alone = type(part)(policy=part.policy)
                alone.set_payload("")
                alone.set_raw(name, value)
                tally = Tally()
                flatten_counted(alone, False, "8bit", tally)
                left[name] += tally.folded
    return left


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fields", action="store_true")
    options = parser.parse_args()
    whole, each = share()
    rows = {name: tally for name, tally in each.items() if tally.generated or tally.folded}
    print(f"{'by the standard library':40}{'messages':>10}{'fields':>10}{'of':>6}")
    for name, tally in (rows | {"all": whole}).items():
        print(f"{name:40}{tally.generated:>10}{tally.folded:>10}{tally.headers:>6}")
    if options.fields:
        for name, count in _fields().most_common():
            if count:
                print(f"    {name:36}{count:>20}")
    messages = f"{100 * (1 - whole.generated / whole.messages):.1f} % of {whole.messages} messages"
    fields = f"{100 * (1 - whole.folded / whole.headers):.1f} % of {whole.headers} header fields"
    print(f"{IMPLEMENTATION}: {messages}, {fields}")


if __name__ == "__main__":
    main()

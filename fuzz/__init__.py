"""Fuzzing: the twins of the codec against each other, and both against slow oracles that work in another way.

A **target** takes bytes and raises :class:`~fuzz.source.Difference` where the twins, or a twin and its
oracle, do not agree. ``python -m fuzz`` runs the targets under atheris (libFuzzer, guided by the coverage of
both twins) where that can be had, else under mutations that nothing guides. ``tests/codec/test_fuzz.py``
runs each target on its seeds with every run of the suite.

    source      the input as a stream of decisions
    codec       replies, content, commands, addresses
    dialogues   the session and the transactions that it runs
    messages    the serialiser
    targets     their names
    seeds       the inputs that are kept, in fuzz/corpus
    engines     what makes inputs: atheris, or plain mutation
    build       the extension with coverage counters in it
"""

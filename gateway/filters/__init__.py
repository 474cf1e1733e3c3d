"""Steps between decoder and encoder: one event in, the events that take its place out. Pure.

    decoder -> think -> calls -> usage -> encoder

Each keeps the grammar of `gateway.events`, and passes everything on at once when it can no longer act. A
filter that makes blocks of its own numbers them from its own base, far above what a decoder reaches, so that
the blocks that pass need no new numbers.
"""

"""What the gateway costs: a mock upstream, a load generator, and the table of `docs/performance.md`.

    python -m benchmarks            all workloads, three rounds, about five minutes
    python -m benchmarks --quick    one short round
    python -m benchmarks --peer litellm

    load (core B)  ──>  subject (core A)  ──>  upstream (core B)

The subject is the gateway, a peer, or nothing: then the load reaches the upstream directly, which shows that
neither of the two is the bottleneck. Upstream, load and bodies are the same for every subject, and every answer
is compared with what the upstream sent.
"""

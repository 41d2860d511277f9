"""What every process needs: configuration, logging, metrics, clocks, supervised tasks, files.

No networking but the readiness datagram, and no kernel access but signals and resource limits.

A process command configures logging and calls `<room>.main.run(config)`. `config` has all derived
values. Only metadata-agent, which signs, and metadata-service, which verifies, get
`metadata_proxy_shared_secret`; it is "" for all others.
"""

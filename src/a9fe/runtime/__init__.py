"""What every process needs: configuration, logging, metrics, clocks, supervised tasks.

No networking and no kernel access beyond signals. Option names, meanings and defaults are
Neutron's and Nova's where they have the option.

A process command calls `<room>.main.run(config)` with logging configured; `config` has every
derived value filled in. `metadata_proxy_shared_secret` is filled only for the two processes
that sign and verify (metadata-agent, metadata-service) and is "" for all others.
"""

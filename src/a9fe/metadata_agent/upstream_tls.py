"""TLS to the metadata service, by Neutron's options of the metadata agent.

The files are read once, before privileges are dropped: only root may be able to read the key.
"""

import ssl

import structlog

from a9fe.runtime.config import Config
from a9fe.runtime.errors import InvalidOption

log = structlog.get_logger("a9fe.metadata_agent")


def client_context(config: Config) -> ssl.SSLContext | None:
    """Return the context for nova_metadata_protocol; None for http. Raises InvalidOption.

    Neutron ignores a certificate without key, or a key without certificate; here it is an error.
    """
    if config.nova_metadata_protocol == "http":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if config.nova_metadata_insecure:
        log.warning("the metadata service's certificate is not checked", nova_metadata_insecure=1)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _trust(context, config)
    _identify(context, config)
    return context


def _trust(context: ssl.SSLContext, config: Config) -> None:
    """Trust auth_ca_cert, or what the host trusts."""
    if not config.auth_ca_cert:
        context.load_default_certs()
        return
    try:
        context.load_verify_locations(cafile=config.auth_ca_cert)
    except (OSError, ValueError) as error:
        raise _invalid(config, "auth_ca_cert", "a PEM file of CA certificates", error) from error


def _identify(context: ssl.SSLContext, config: Config) -> None:
    """Use nova_client_cert and nova_client_priv_key, if they are given."""
    certificate, key = config.nova_client_cert, config.nova_client_priv_key
    if not certificate and not key:
        return
    for name, other in (
        ("nova_client_cert", "nova_client_priv_key"),
        ("nova_client_priv_key", "nova_client_cert"),
    ):
        path = getattr(config, name)
        if not path:
            raise InvalidOption(
                name, "", f"a PEM file, as {other} is given", _source(config, name)
            )
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise _invalid(config, name, "a readable PEM file", error) from error
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        expected = f"the key of nova_client_cert ({certificate}) in PEM, not encrypted"
        raise _invalid(config, "nova_client_priv_key", expected, error) from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _source(config: Config, name: str) -> str:
    return config.sources.get(name, "default")


def _invalid(config: Config, name: str, expected: str, error: Exception) -> InvalidOption:
    if isinstance(error, ssl.SSLError):
        why = (error.reason or "no certificate or key in it").lower().replace("_", " ")
    else:
        why = getattr(error, "strerror", None) or str(error)
    return InvalidOption(name, getattr(config, name), f"{expected} ({why})", _source(config, name))

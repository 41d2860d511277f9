"""The examples of keys that sign identities: one that nobody has the private half of."""

from a9fe.server.openapi.examples import delete, get, put

KEY_ID = "jsJAmI0yP4VjYRt_6TdY4NzCrcS7y5vkvNNFVF9Zid4"
MODULUS = (
    "uOvzp5PSDu7jMU4XNZcnGjxJtxp4hlUD5GQjuDwBYReIPKdapm9sapTORQI248xFAQZsGyKPpbolVjha"
    "-6UgK_1UsgERTBeCVeq-HOr0T8-TBVj2VHpkNOiL3esBe8IbwsBlTfiyq5J962dCPR6q52phgu9PLmhF"
    "4k078EZ5abfOrP5kD-kJxAkq7BXUqwN-6mVyWTzOf7CM9xz0_fBFshaXzVxnC98GEIvKgtXiTl9Q5TWJ"
    "vD-RjeNbs6xi0qm6bTO0FaD9VktvkIcYV9-MP_oRNd7m6dWrs2iDpLcNTn8rp5LuIc5VvMa8V10Onmu0"
    "UgkzpAc44jyZhq-3PDtEuw"
)
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIDODCCAiCgAwIBAgIUdfseddhmkyOrKbAPvq0cSjLuT34wDQYJKoZIhvcNAQEL
BQAwRDFCMEAGA1UEAww5YTlmZSBpZGVudGl0eSBqc0pBbUkweVA0VmpZUnRfNlRk
WTROekNyY1M3eTV2a3ZOTkZWRjlaaWQ0MCAXDTI2MTAzMTIzNTUwMFoYDzIxMDAw
MTAxMDAwMDAwWjBEMUIwQAYDVQQDDDlhOWZlIGlkZW50aXR5IGpzSkFtSTB5UDRW
allSdF82VGRZNE56Q3JjUzd5NXZrdk5ORlZGOVppZDQwggEiMA0GCSqGSIb3DQEB
AQUAA4IBDwAwggEKAoIBAQC46/Onk9IO7uMxThc1lycaPEm3GniGVQPkZCO4PAFh
F4g8p1qmb2xqlM5FAjbjzEUBBmwbIo+luiVWOFr7pSAr/VSyARFMF4JV6r4c6vRP
z5MFWPZUemQ06Ivd6wF7whvCwGVN+LKrkn3rZ0I9HqrnamGC708uaEXiTTvwRnlp
t86s/mQP6QnECSrsFdSrA37qZXJZPM5/sIz3HPT98EWyFpfNXGcL3wYQi8qC1eJO
X1DlNYm8P5GN41uzrGLSqbptM7QVoP1WS2+QhxhX34w/+hE13ubp1auzaIOktw1O
fyunku4hzlW8xrxXXQ6ea7RSCTOkBzjiPJmGr7c8O0S7AgMBAAGjIDAeMAwGA1Ud
EwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMA0GCSqGSIb3DQEBCwUAA4IBAQAV10R5
3su6OitXRiBKZfiIco3CAbL2FQIOaYJEVBh421DsHs5ZGdzbfznTDYULtC8W6r4X
ZfaXNxS5o+6Qu4k0aVjJqouKcqv2XivjcDrZZqktVNevsWxKKE2OIaw3icgKJdiz
RXSApIeMKW9i8sNEDlir/H2RTGzMS225gt8mhZ0ii+z83uvdfWoBCJ/frzH36xGf
tTmudlF4FBChNu/a9Z3EDU5kbnJ64eVDsi6YKFrJGlZ0TiJwqTvkAl3OLWhS4edr
/AEVrSE0I2ZcjXxOSgvHOJi5iSB9cUdu1Hzj1kAVmDxZ6i7VL7y5wsnQnPj6alYb
hYI7WpRs1ircKZL0
-----END CERTIFICATE-----
"""
EXPIRES_AT = "2026-12-01T00:00:00Z"
IDENTITY = (
    put(
        f"/a9fe/v1/identity/keys/{KEY_ID}",
        {
            "key": {
                "host": "node1",
                "jwk": {
                    "kty": "RSA",
                    "n": MODULUS,
                    "e": "AQAB",
                    "alg": "RS256",
                    "use": "sig",
                    "kid": KEY_ID,
                },
                "certificate": CERTIFICATE,
                "expires_at": EXPIRES_AT,
            }
        },
    ),
    get("/a9fe/v1/identity/keys"),
    get("/a9fe/v1/identity/jwks"),
    get("/a9fe/v1/identity/certificates"),
    get("/.well-known/openid-configuration"),
    delete(f"/a9fe/v1/identity/keys/{KEY_ID}"),
)

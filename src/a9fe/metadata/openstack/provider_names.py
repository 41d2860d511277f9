"""The names of the providers of vendor data, as in Nova's option vendordata_providers."""

STATIC_JSON, DYNAMIC_JSON = "StaticJSON", "DynamicJSON"
PROVIDERS = (STATIC_JSON, DYNAMIC_JSON)

"""The API's OpenAPI document and its page, generated from routes, tables and examples."""

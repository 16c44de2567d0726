"""The OpenAPI description of the webhooks."""

from typing import Any

from services.bridge_adafruit.domain.hooks import LONGEST_BODY


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def _answer(text: str, *, schema: str = "Error", headers: dict[str, Any] | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": text, "content": content, **({"headers": headers} if headers else {})}


_WAIT = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}

DESCRIPTION: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {
        "title": "hems webhooks",
        "version": "1",
        "description": "Each hook does one thing, which is set in hems.yaml; a request says only that it should be done now.",
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0.html"},
    },
    "paths": {
        "/hooks/{name}": {
            "post": {
                "operationId": "callHook",
                "summary": "Do what the hook is for",
                "parameters": [
                    {
                        "name": "name",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "minLength": 1, "pattern": "^[a-z0-9_-]{1,64}$"},
                    },
                    _header("X-Hook-Secret", "the hook's secret; `Authorization: Bearer …` is taken too"),
                    _header("X-Hook-Signature", "`sha256=` and the hex HMAC-SHA256, by the secret, of `<timestamp>.<nonce>.<body>`"),
                    _header("X-Hook-Timestamp", "Unix seconds, within 300 s; for a signature"),
                    _header("X-Hook-Nonce", "new for each request, 64 characters at most; for a signature"),
                ],
                "requestBody": {
                    "required": False,
                    "description": f"Empty, or an object with an id: the same id acts once. {LONGEST_BODY} bytes at most.",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Call"}}},
                },
                "responses": {
                    "200": _answer("It was done, or asked for", schema="Done"),
                    "401": _answer("No proof was given"),
                    "403": _answer("The proof is wrong, too old or used already"),
                    "404": _answer("No such hook"),
                    "408": _answer("The body did not come in time"),
                    "409": _answer("The home refused, and says why"),
                    "413": _answer("The body is too long"),
                    "422": _answer("The body is not what the hook takes"),
                    "429": _answer("More than ten requests in a minute", headers=_WAIT),
                    "503": _answer("The home's broker can't be reached", headers=_WAIT),
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Call": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"id": {"type": "string", "minLength": 1, "maxLength": 64}},
            },
            "Done": {
                "type": "object",
                "required": ["done"],
                "properties": {
                    "done": {"type": "boolean", "description": "false: asked for, with no answer yet, or done before under this id"},
                    "note": {"type": "string"},
                },
            },
            "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
        }
    },
}

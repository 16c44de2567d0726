"""The topics as an AsyncAPI 3 document: what a person's own program, with the account of `client`, may read and say."""

from typing import Any, cast

import yaml

import hems
from hems.contracts import catalog
from hems.contracts.catalog import CLIENT
from hems.contracts.topic import Topic
from scripts.generate.schemas import payloads

AnyTopic = Topic[Any]

_PARAMETERS = {
    "home": "A home's id, `[a-z0-9_-]{1,32}`.",
    "appliance": "An appliance, such as `kettle`.",
    "relay": "A relay's name.",
    "source": "Who asks; only that service may write it.",
    "service": "A service's name.",
    "client": "Whoever asked, as the question says.",
    "device": "A device's own name.",
}


def asyncapi() -> str:
    """The document, YAML."""
    topics = {name.lower(): cast("AnyTopic", value) for name, value in vars(catalog).items() if isinstance(value, Topic)}
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "hems",
            "version": hems.__version__,
            "description": "A home's topics, as a program with the account `client` meets them.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(topic) for name, topic in topics.items()},
        "operations": _operations(topics),
        "components": {"messages": {payload.__name__: _message(payload) for payload in payloads()}},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=140)


def _channel(topic: AnyTopic) -> dict[str, Any]:
    parameters = topic.parameters if topic.foreign else ("home", *topic.parameters)
    channel: dict[str, Any] = {
        "address": topic.pattern if topic.foreign else f"hems/{{home}}/{topic.pattern}",
        "description": topic.description,
        "messages": {topic.payload.__name__: {"$ref": f"#/components/messages/{topic.payload.__name__}"}},
        "x-said-by": sorted({grant.user for grant in topic.said_by}),
        "x-read-by": sorted(topic.read_by),
    }
    if parameters:
        channel["parameters"] = {name: {"description": _PARAMETERS[name]} for name in parameters}
    return channel


def _operations(topics: dict[str, AnyTopic]) -> dict[str, Any]:
    reads = {f"read_{name}": _operation("receive", name, topic) for name, topic in topics.items() if _client_reads(topic)}
    says = {f"say_{name}": _operation("send", name, topic) for name, topic in topics.items() if _client_says(topic)}
    return reads | says


def _operation(action: str, name: str, topic: AnyTopic) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": topic.description,
        "bindings": {"mqtt": {"qos": topic.qos, "retain": topic.retain}},
    }


def _client_reads(topic: AnyTopic) -> bool:
    return not topic.foreign or CLIENT in topic.read_by


def _client_says(topic: AnyTopic) -> bool:
    return any(grant.user == CLIENT for grant in topic.said_by)


def _message(payload: type[Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"name": payload.__name__, "summary": (payload.__doc__ or "").splitlines()[0]}
    if not payload.is_json:
        message["contentType"] = "text/plain"
    return message | {"payload": {"$ref": f"./schemas/{payload.__name__}.json"}}

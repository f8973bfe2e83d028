"""`/docs`: the API's reference, made from its OpenAPI document; nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from sentiment.desk.pages import Page, render

router = APIRouter(route_class=Page, include_in_schema=False)


@router.get("/docs")
def reference(request: Request) -> Response:
    """Every address for programs."""
    document = request.app.openapi()
    schemas = document.get("components", {}).get("schemas", {})
    operations = [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation.get("summary", ""),
            "parameters": operation.get("parameters", []),
            "needs_key": bool(operation.get("security")),
            "body": pretty(content_of(operation.get("requestBody", {}))),
            "answers": [
                {
                    "status": status,
                    "description": answer.get("description", ""),
                    "names": names_of(content_of(answer)),
                }
                for status, answer in operation["responses"].items()
            ],
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    shown = [
        {"name": name, "description": schema.get("description", ""), "fields": fields_of(schema)}
        for name, schema in schemas.items()
        if not name.startswith(("HTTPValidation", "Validation"))
    ]
    return render(request, "reference.html", info=document["info"], operations=operations, schemas=shown)


def content_of(part: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body or answer, or nothing."""
    contents: list[dict[str, Any]] = list(part.get("content", {}).values())
    found: dict[str, Any] = contents[0].get("schema", {}) if contents else {}
    return found


def names_of(schema: dict[str, Any]) -> list[str]:
    """Names of the schemas that a schema refers to."""
    references = [schema, *schema.get("anyOf", []), *schema.get("oneOf", [])]
    return [found["$ref"].rpartition("/")[2] for found in references if "$ref" in found]


def fields_of(schema: dict[str, Any]) -> list[dict[str, str]]:
    """The fields of an object: name, type and description."""
    return [
        {"name": name, "type": type_of(field), "description": field.get("description", "")}
        for name, field in schema.get("properties", {}).items()
    ]


def type_of(field: dict[str, Any]) -> str:
    """A field's type, in words of JSON Schema."""
    if "anyOf" in field:
        return " or ".join(type_of(part) for part in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if field.get("type") == "array":
        return f"array of {type_of(field.get('items', {}))}"
    if "enum" in field:
        return " or ".join(map(repr, field["enum"]))
    return str(field.get("format", field.get("type", "any")))


def pretty(schema: dict[str, Any]) -> str:
    """Examples of a body, one below the other."""
    parts = schema.get("oneOf", [schema] if schema else [])
    return "\n".join(json.dumps(example) for part in parts for example in part.get("examples", []))

"""Checks a value against a schema of the served OpenAPI document: the part of JSON Schema that the document uses."""
import re

DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}


class Document:
    def __init__(self, document):
        self.document = document

    def resolve(self, thing):
        while isinstance(thing, dict) and "$ref" in thing:
            node = self.document
            for key in thing["$ref"][2:].split("/"):
                node = node[key]
            thing = node
        return thing

    def operation_of(self, method, path):
        """The path pattern and operation that a request meets; (None, None) when nothing is documented there."""
        for pattern in (path, path + "/"):
            if pattern in self.document["paths"]:
                return pattern, self.document["paths"][pattern].get(method.lower())
        for pattern, item in self.document["paths"].items():
            want, have = pattern.split("/"), path.split("/")
            if len(want) == len(have) and all(w == h or w.startswith("{") for w, h in zip(want, have)):
                return pattern, item.get(method.lower())
        return None, None

    def faults_of_answer(self, method, path, status, value):
        """What is wrong with an answer, as sentences. Statuses of all routes (404, 405) need no entry."""
        pattern, operation = self.operation_of(method, path)
        if operation is None:
            return []
        response = self.resolve(operation["responses"].get(str(status)))
        if response is None:
            return [] if status in (404, 405, 421) else [f"{method} {pattern} documents no status {status}"]
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        return self.faults(schema, value, "answer") if schema else []

    def faults(self, schema, value, where):
        schema = self.resolve(schema)
        if "anyOf" in schema or "oneOf" in schema:
            tries = [self.faults(one, value, where) for one in schema.get("anyOf", schema.get("oneOf"))]
            return [] if any(not found for found in tries) else tries[0]
        found = []
        for part in schema.get("allOf", []):
            found += self.faults(part, value, where)
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(TYPES[name](value) for name in types):
            return found + [f"{where} is not {' or '.join(types)}: {value!r}"]
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{where} is none of {schema['enum']}: {value!r}")
        if "const" in schema and value != schema["const"]:
            found.append(f"{where} is not {schema['const']!r}: {value!r}")
        if schema.get("format") == "date-time" and isinstance(value, str) and not DATE_TIME.fullmatch(value):
            found.append(f"{where} is no date-time: {value!r}")
        if isinstance(value, dict):
            found += self.faults_of_object(schema, value, where)
        if isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                found += self.faults(schema["items"], item, f"{where}[{index}]")
        return found

    def faults_of_object(self, schema, value, where):
        found = [f"{where} has no {name}" for name in schema.get("required", []) if name not in value]
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name, item in value.items():
            if name in properties:
                found += self.faults(properties[name], item, f"{where}.{name}")
            elif others is False:
                found.append(f"{where} has the undocumented {name}")
            elif isinstance(others, dict):
                found += self.faults(others, item, f"{where}.{name}")
        return found

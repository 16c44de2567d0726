"""Writes what the contracts say into the files that others read: the MQTT pages, the JSON Schemas, the broker's access list."""

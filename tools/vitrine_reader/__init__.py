"""The parts of tools/vitrine_cache.py, each using those before it: xxh3, container, native, transform, forms, cache, views, dataset."""

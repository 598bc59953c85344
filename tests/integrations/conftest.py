"""Lightning and Transformers take seconds to import: not where the slow tests are left out anyway."""


def pytest_ignore_collect(collection_path, config):
    is_slow = collection_path.name in ("test_lightning.py", "test_hugging_face.py")
    return True if is_slow and config.option.markexpr == "not slow" else None

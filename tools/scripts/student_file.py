"""Reads the ONNX file of a student, for the scripts beside this one."""
import onnx

EXPECTED = "give a file of vitrine-export --format onnx"


class StudentFileError(Exception):
    """A file that is not a student's; its text is one sentence, which begins with the path."""


def read_student(path):
    """The model, and its metadata by key. `path`: a pathlib.Path. Raises StudentFileError."""
    if not path.is_file():
        raise StudentFileError(f"{path}: is not a file; {EXPECTED}")
    try:
        model = onnx.load(path)
    except Exception as problem:  # protobuf's errors have no common class
        raise StudentFileError(f"{path}: cannot be read as ONNX: {problem}") from problem
    record = {entry.key: entry.value for entry in model.metadata_props}
    if "vitrine.preprocessing" not in record:
        raise StudentFileError(f"{path}: does not record its preprocessing; {EXPECTED}")
    return model, record

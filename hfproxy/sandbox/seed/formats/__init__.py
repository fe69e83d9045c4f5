"""Writers of the file formats that Hub repositories are made of, small enough to need no library.

They write what the real readers (safetensors, onnxruntime, pyarrow, Pillow) read, and nothing more.
"""

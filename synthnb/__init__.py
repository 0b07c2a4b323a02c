import os, platform

__version__ = "0.0.1"

# TensorFlow's quick kernels (oneDNN) on every x86 processor; the variable is read when TensorFlow is imported
if platform.machine() in ("x86_64", "AMD64"): os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

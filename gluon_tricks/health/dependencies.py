"""What the kit imports, what needs it, and how it is installed. Needs the standard library only."""

from dataclasses import dataclass
from importlib import metadata

from gluon_tricks.program import IN_CHECKOUT, pip_command


def version_of(distribution):
    """What pip installed under a name, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


CPU_PINS = "pip install -r requirements.txt" if IN_CHECKOUT else pip_command("cpu")
GPU_PINS = pip_command("gpu")
PINS = GPU_PINS if version_of("mxnet-cu112") else CPU_PINS      # never both in one environment
GPU_ENVIRONMENT = "make gpu" if IN_CHECKOUT else f"in a new environment: {GPU_PINS}"
HOROVOD = "make horovod" if IN_CHECKOUT else "make horovod, in a checkout of gluon_tricks"


@dataclass
class Dependency:
    """A module to import, and what needs it. Without a `needed` one training cannot run."""

    module: str
    distribution: str
    serves: str
    needed: bool = False
    install: str = PINS


DEPENDENCIES = (
    Dependency("numpy", "numpy", "everything", needed=True),
    Dependency("mxnet", "mxnet", "everything", needed=True),
    Dependency("cv2", "opencv-python", "reading images", needed=True),
    Dependency("simplejpeg", "simplejpeg", "reading photographs", needed=True),
    Dependency("PIL", "pillow", "preparing data, GluonCV"),
    Dependency("matplotlib", "matplotlib", "the plot of each run", needed=True),
    Dependency("plotly", "plotly", "pages for a browser"),
    Dependency("tqdm", "tqdm", "progress bars", needed=True),
    Dependency("scipy", "scipy", "GluonCV"),
    Dependency("pandas", "pandas", "GluonCV"),
    Dependency("gluoncv", "gluoncv", "comparing with GluonCV, and its zoo of models"),
    Dependency("tensorboardX", "tensorboardX", "--tensorboard", install=pip_command("tensorboard")),
    Dependency("horovod.mxnet", "horovod", "training in several processes with Horovod", install=HOROVOD),
    Dependency("onnx", "onnx", "export to ONNX", install=pip_command("onnx")),
)

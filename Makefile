# Each target makes the environment it needs, once, and again when the pins change.
# Options: PYTHON=/usr/bin/python3.10   VENV=.venv   ARGS="more flags for the command"

# What `make demo` trains: ResNet-20 on the excerpt of CIFAR-10 that comes with the kit, on the CPU. The recipe is that
# of GluonCV's runs in logs/reference/excerpt (benchmarks/excerpt.py).
DEMO_FLAGS = --dataset cifar10-excerpt --model cifar_resnet20_v1 --mode hybrid --num-gpus 0 -j 2 \
             --batch-size 64 --lr 0.1 --num-epochs 10 --lr-decay-epoch 7,9 --log-interval 10 \
             --save-dir demo/params --logging-dir demo --save-plot-dir demo --overwrite
DEMO_FAULT = logs/reference/excerpt/kit_lr1.log

# What `make torch` proves to be the same net on both sides; `bridge --check` alone takes all.
TORCH_MODELS = cifar_resnet20_v1 resnet18_v1b

VENV     = .venv
GPU_VENV = .venv-gpu
TORCH_VENV = .venv-torch
DOCS_VENV = .venv-docs
CPU_PINS = requirements/base.txt requirements/training.txt requirements/cpu.txt
GPU_PINS = requirements/base.txt requirements/training.txt requirements/gpu.txt
# PYTHON=... is used as given; without it, the first of these that runs, is 3.9 to 3.12 and can make environments.
PYENV      = $(or $(PYENV_ROOT),$(HOME)/.pyenv)
CANDIDATES = $(or $(PYTHON),python3.11 $(wildcard $(PYENV)/versions/3.11.*/bin/python3.11) \
                            python3 python3.10 python3.9 python3.12)

define NO_PYTHON
No Python 3.9 to 3.12 that can make virtual environments (tried: $(CANDIDATES)).
Any of these installs Python 3.11, on which the kit is developed; then run make again:
    sudo apt install python3.11 python3.11-venv       Debian 12, Ubuntu 22.04
    pyenv install 3.11
    uv python install 3.11                            and add PYTHON="$$(uv python find 3.11)" to make
endef
export NO_PYTHON

# The proof that Horovod works: two processes agree on a sum.
define TWO_RANKS
import gluon_tricks, mxnet, horovod.mxnet as hvd
hvd.init()
total = hvd.allreduce(mxnet.nd.ones(1), average=False).asscalar()
assert total == 2, total
print(f"rank {hvd.rank()} of {hvd.size()}: the sum of ones is {total:.0f}")
endef
export TWO_RANKS

define find_python
for python in $(CANDIDATES) ''; do \
    "$$python" -c 'import ensurepip, sys; sys.exit(not (3, 9) <= sys.version_info < (3, 13))' 2>/dev/null && break; \
done; \
[ -n "$$python" ] || { echo "$$NO_PYTHON" >&2; exit 1; }
endef

PIP = bin/python -m pip --disable-pip-version-check -qq install

# $(call make_environment,DIRECTORY,REQUIREMENTS,DURATION): from nothing, because packages left from other pins would hide
# what these pins lack.
# A directory of another name than ours is cleared only if it is an environment.
define make_environment
@[ ! -e $(1) ] || [ -e $(1)/pyvenv.cfg ] || [ -n "$(filter .venv% .matrix/%,$(1))" ] || \
    { echo "$(1) exists and is no virtual environment: move it away" >&2; exit 1; }
@$(find_python); rm -f $(1)/.installed; \
    echo "Making $(1): $$("$$python" -V), the pins of $(2) ($(3), once) ..." && "$$python" -m venv --clear $(1)
@$(1)/$(PIP) --only-binary :all: $(addprefix -r ,$(2))
@$(1)/bin/python -m pip check
@touch $(1)/.installed
endef

# $(call if_unusable,DIRECTORY): FORCE where an environment's interpreter is gone or is not the one PYTHON=... asks for.
if_unusable = $(if $(wildcard $(1)/.installed),$(shell \
    has=$$($(1)/bin/python -V 2>&1) && [ "$$has" = "$$($(or $(PYTHON),$(1)/bin/python) -V 2>&1)" ] || echo FORCE))

# $(call if_compilable,TARGET): TARGET where there is a C++ compiler and a Python whose NumPy Horovod's build can import.
if_compilable = $(if $(shell command -v c++ >/dev/null && { python=$(VENV)/bin/python; [ -x "$$python" ] || \
                    { $(find_python); }; } 2>/dev/null && \
                    "$$python" -c 'import sys; sys.exit(sys.version_info >= (3, 12))' 2>/dev/null && echo yes),$(1))

.DEFAULT_GOAL := help
.PHONY: help demo quick test machines lint docs doctor bench onnx torch horovod gpu matrix clean FORCE

help: ## show this list
	@echo 'make TARGET [PYTHON=python3.11] [VENV=.venv] [ARGS="more flags"]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-8s  %s\n", $$1, $$2}' Makefile

# The newest log: ARGS may name another model, and earlier logs stay.
demo: $(VENV)/.installed ## train a small network on the CPU and judge it: log, checkpoints, plot, report in demo/
	@echo 'Trains ResNet-20 for 10 epochs on 2,000 images of CIFAR-10 (below 90 seconds on two quiet cores) and compares'
	@echo "it with 8 runs of GluonCV's own script on the same images. All files go to demo/."
	$(VENV)/bin/python train_cifar.py $(DEMO_FLAGS) $(ARGS)
	@echo; echo 'A fault, the same run with --lr 1 ($(DEMO_FAULT)):'
	@$(VENV)/bin/python -m gluon_tricks compare $(DEMO_FAULT) | grep -E '^(diagnosis|verdict):'
	@echo; $(VENV)/bin/python -m gluon_tricks report "$$(ls -t demo/*.log | head -n 1)" --out demo/report.html
	@echo; echo 'This run:'
	@$(VENV)/bin/python -m gluon_tricks compare "$$(ls -t demo/*.log | head -n 1)" | tail -n 1

quick: $(VENV)/.installed-dev ## the tests for every edit: below 90 seconds on two cores
	$(VENV)/bin/python -m pytest -m "not slow" $(ARGS)

test: $(VENV)/.installed-dev $(call if_compilable,$(VENV)/.installed-horovod) ## run the tests; a part of them: ARGS="tests/commands/test_doctor.py -k remedy"
	$(VENV)/bin/python -m pytest $(ARGS)

machines: $(VENV)/.installed-dev $(call if_compilable,$(VENV)/.installed-horovod) ## the tests of several machines: network namespaces; needs root
	$(VENV)/bin/python -m pytest -n 0 tests/machines $(ARGS)

lint: $(VENV)/.installed-dev ## check the style
	$(VENV)/bin/python -m ruff check $(ARGS)

docs: $(DOCS_VENV)/.installed ## make the site of docs/ in site/
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs build --strict $(ARGS)
	@echo 'The site: site/index.html; with search: $(DOCS_VENV)/bin/python -m http.server --directory site'

doctor: $(VENV)/.installed ## what works on this machine, what does not, and the remedy
	$(VENV)/bin/python -m gluon_tricks doctor $(ARGS)

bench: $(VENV)/.installed ## training steps per second compared with GluonCV's; with PyTorch's after make torch
	$(VENV)/bin/python -m gluon_tricks bench net $(ARGS)

torch: $(TORCH_VENV)/.installed $(VENV)/.installed ## make .venv-torch, with PyTorch and timm, and prove export --format torch on one net
	$(VENV)/bin/python -m gluon_tricks bridge --check --models $(TORCH_MODELS) $(ARGS)

onnx: $(VENV)/.installed-onnx ## add ONNX and its runtime to .venv, for python -m gluon_tricks export
	$(VENV)/bin/python -m gluon_tricks export --help

# (--check-build shows PyTorch whether or not it is there.)
horovod: $(VENV)/.installed-horovod ## compile Horovod for MXNet into .venv and try it with two processes
	$(VENV)/bin/horovodrun --check-build

gpu: $(GPU_VENV)/.installed ## make .venv-gpu: MXNet for CUDA 11.2 with its libraries (not verified on a real GPU)
	@echo 'Not verified on a real GPU: what follows is what the doctor finds on this machine.'
	$(GPU_VENV)/bin/python -m gluon_tricks doctor $(ARGS)

matrix: ## environment, doctor and smoke training under every Python 3.9 to 3.12 of this machine
	@$(find_python); "$$python" benchmarks/matrix.py $(ARGS)

clean: ## remove environments, demo/ and caches
	rm -rf .venv .venv-gpu .venv-torch .venv-docs .matrix demo site build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps. Each is written last and stands in its environment: an interrupted installation leaves none, and what was put
# on top of an environment (test tools, Horovod) goes when the environment is made again.
$(VENV)/.installed: requirements.txt $(CPU_PINS) $(call if_unusable,$(VENV))
	$(call make_environment,$(VENV),requirements.txt,one to three minutes)

$(GPU_VENV)/.installed: $(GPU_PINS) $(call if_unusable,$(GPU_VENV))
	$(call make_environment,$(GPU_VENV),$(GPU_PINS),2 GB to download)

$(TORCH_VENV)/.installed: requirements/torch.txt $(call if_unusable,$(TORCH_VENV))
	$(call make_environment,$(TORCH_VENV),requirements/torch.txt,5 GB on the disk)

$(DOCS_VENV)/.installed: requirements/docs.txt $(call if_unusable,$(DOCS_VENV))
	$(call make_environment,$(DOCS_VENV),requirements/docs.txt,less than a minute)

$(VENV)/.installed-onnx: $(VENV)/.installed requirements/onnx.txt
	@echo 'Installing ONNX and ONNX Runtime (requirements/onnx.txt) ...'
	@$(VENV)/$(PIP) --only-binary :all: -r requirements/onnx.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements/dev.txt requirements/onnx.txt requirements/tensorboard.txt
	@echo 'Installing the test tools of requirements/dev.txt ...'
	@$(VENV)/$(PIP) --only-binary :all: -r requirements/onnx.txt -r requirements/tensorboard.txt -r requirements/dev.txt
	@touch $@

# Horovod's build and launcher import MXNet without gluon_tricks.compat. Without MAKEFLAGS it picks its number of jobs.
$(VENV)/.installed-horovod: $(VENV)/.installed requirements/horovod.txt requirements/horovod-build.txt
	@$(VENV)/bin/python -c 'import numpy; numpy.bool' 2>/dev/null || \
	    { echo 'Horovod needs NumPy 1.23, so Python 3.9 to 3.11: make horovod PYTHON=python3.11' >&2; exit 1; }
	@command -v c++ >/dev/null || { echo 'Compiling Horovod needs a C++ compiler: sudo apt install g++' >&2; exit 1; }
	@echo 'Compiling Horovod for MXNet, with gloo (some minutes, once) ...'
	@$(VENV)/$(PIP) --only-binary :all: -r requirements/horovod-build.txt
	@env -u MAKEFLAGS -u MAKELEVEL HOROVOD_CMAKE=$(abspath $(VENV))/bin/cmake \
	    HOROVOD_WITH_MXNET=1 HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 \
	    HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 \
	    $(VENV)/$(PIP) --no-build-isolation --no-cache-dir -r requirements/horovod.txt
	@$(VENV)/bin/horovodrun -np 2 --gloo $(VENV)/bin/python -c "$$TWO_RANKS"
	@touch $@

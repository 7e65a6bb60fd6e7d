# Every target works on a fresh clone with nothing but Python 3.10 or newer (with venv and pip) on the machine.
# A C compiler is used where there is one: the extension is built in place, because tests that are run from here
# import the package from here. Where there is none the suite runs on the pure twin and says what it left out.
#
#   make test PYTHON=python3.12 VENV=.venv-3.12    another interpreter
#   make test ARGS="-k pool -x"                    more options for pytest

PYTHON ?= $(shell command -v python3 || command -v python || echo python3)
VENV ?= .venv
ARGS ?=
PYTEST ?= -m pytest
# One process for each processor. ARGS="-n 0" for a single one, which a debugger needs.
PARALLEL := -n auto
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
# 1 where the extension is built in place, 0 where this interpreter cannot compile one.
EXTENSION := $(VENV)/extension
RUN = AIOSMTPLIB_EXPECT_EXTENSIONS=$$(cat $(EXTENSION)) $(PY)
QUICK := not slow and not interop

.DELETE_ON_ERROR:
.PHONY: help demo test test-pure test-pythons faults annotate sanitize valgrind fuzz interop interop-docs bench \
  bench-message bench-rows encoded-words outbox outbox-postgres flames compare compat contrib soak types style docs docs-check clean FORCE

help:
	@echo "make demo       how much CPU a message takes: smtplib, and both twins"
	@echo "make test       the test suite on both twins and both event loops"
	@echo "make test-pure  the same without the extension"
	@echo "make test-pythons  the same on every Python that is installed here, and on Debian's newest"
	@echo "make faults     sessions of every kind, cut, reset, stalled and damaged at every byte"
	@echo "make annotate   where the compiled codec calls into Python, as HTML in build/annotate"
	@echo "make sanitize   the compiled codec under AddressSanitizer and UBSan"
	@echo "make valgrind   the compiled codec under memcheck"
	@echo "make fuzz       the twins against each other, FUZZ_SECONDS=60 for each target"
	@echo "make encoded-words  random fields in other alphabets beside the standard library, COUNT=1000000 of each kind"
	@echo "make interop    against Postfix, Exim, OpenSMTPD, chasquid, Dovecot and aiosmtpd, those that can be had"
	@echo "make interop-docs  the same, and its table into docs/interop.md"
	@echo "make bench      compiled against pure, side by side"
	@echo "make bench-message  how many times faster messages are written and addresses read"
	@echo "make bench-rows  CPU of a message: by send(), by a pool, and on kept connections beside the least that can be"
	@echo "make flames     flame graphs of sending, before and after"
	@echo "make compare    beside stock aiosmtplib and other clients, with charts"
	@echo "make compat     suites that others wrote: of stock aiosmtplib, and of packages that use it"
	@echo "make contrib    Django's own tests of its backend, and the programs under examples/, in clean environments"
	@echo "make soak       a gigabyte streamed, a million messages, a thousand tasks, a moody server"
	@echo "make outbox     the outbox on Redis while workers are killed, and Redis and the relay are started again"
	@echo "make outbox-postgres  orders on PostgreSQL that are rolled back or killed, and their mail"
	@echo "make types      mypy --strict, pyright, stubtest"
	@echo "make style      ruff"
	@echo "make docs       the documentation as HTML in build/docs; warnings are errors"
	@echo "make docs-check  its examples, with the packages of the cookbook, and its pages in a browser"
	@echo "make clean      remove what the above have made"

# The aiosmtplib of before, to compare with, where it can be fetched.
STOCK := $(VENV)/stock
demo: $(EXTENSION)
	@test -d $(STOCK) || $(PIP) install --no-deps --target $(STOCK) aiosmtplib==5.1.3 2>/dev/null || \
	  { rm -rf $(STOCK); echo "aiosmtplib 5.1.3 cannot be fetched here: without it."; }
	@$(PY) -m aiosmtplib demo $$(test ! -d $(STOCK) || echo --stock $(STOCK)) $(ARGS)

test: $(EXTENSION)
	@$(RUN) $(PYTEST) $(PARALLEL) -m "$(QUICK)" $(ARGS)

test-pure: $(VENV)/group-test
	@AIOSMTPLIB_NO_EXTENSIONS=1 $(PY) -m pytest $(PARALLEL) -m "$(QUICK)" $(ARGS)

# Options of its own before "--", and what make is given there after it: ARGS="-- ARGS='-x'"
test-pythons:
	@$(PYTHON) -m tests.support.pythons $(ARGS)

faults: $(EXTENSION)
	@$(RUN) -W error -m tests.faults.campaign $(ARGS)

annotate: $(VENV)/group-test
	@mkdir -p build/annotate
	@$(PY) -m cython --annotate --module-name aiosmtplib._speedups -o build/annotate/_speedups.c _speedups/_speedups.pyx
	@echo build/annotate/_speedups.html

# 3 is the status of what cannot be had here; the reason has been printed.
sanitize valgrind: $(EXTENSION)
	@$(PY) -m tests.support.memory_checks $@ $(ARGS) || [ $$? = 3 ]

FUZZ_SECONDS ?= 60
fuzz: $(EXTENSION)
	@$(PY) -c "import atheris" 2>/dev/null || $(PIP) install atheris >/dev/null 2>&1 || echo "No atheris here: mutation without guidance."
	@$(PY) -m fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

# PYTHON=... with PYTHONPATH=. runs it on another one: it needs nothing else.
COUNT ?= 20000
encoded-words: $(EXTENSION)
	@$(RUN) -m tests.support.encoded_words --count $(COUNT) $(ARGS)

# Servers that are not installed are fetched as packages, and never installed either.
interop: $(EXTENSION)
	@$(PY) -m tests.interop.debs
	@$(RUN) -m pytest -m interop tests/interop tests/benchmarks/test_soak.py $(ARGS)

interop-docs:
	@$(MAKE) --no-print-directory interop ARGS="--write-matrix $(ARGS)"

bench: $(EXTENSION) $(VENV)/group-bench
	@$(RUN) -m pytest benchmarks --benchmark-columns=min,median,stddev,ops,rounds $(ARGS)

bench-message: $(EXTENSION) $(VENV)/group-bench
	@$(RUN) -m benchmarks.messages $(ARGS)

# ARGS="--runs 9" for each of them.
bench-rows: $(EXTENSION) $(VENV)/group-bench
	@for rows in send_rows pool_rows floor_rows "floor_rows --tls"; do $(RUN) -m benchmarks.$$rows $(ARGS) || exit; echo; done

flames: $(EXTENSION) $(VENV)/group-flames
	@$(RUN) -m benchmarks.flames $(ARGS)

compare: $(EXTENSION) $(VENV)/group-compare
	@$(RUN) -m benchmarks.compare $(ARGS)

# In environments of its own, with a wheel that it builds, on Python 3.13 where there is one.
# ARGS="--python PATH" tests on another interpreter.
compat: $(VENV)/group-test
	@$(PY) -m tests.compat $(ARGS)

contrib: $(EXTENSION)
	@$(RUN) $(PYTEST) $(PARALLEL) -m slow tests/contrib $(ARGS)

soak: $(EXTENSION)
	@$(RUN) -m benchmarks.soak $(ARGS)

outbox: $(EXTENSION)
	@$(PY) -m tests.interop.debs redis
	@$(RUN) -m benchmarks.outbox $(ARGS)

outbox-postgres: $(EXTENSION) $(VENV)/group-recipes
	@$(PY) -m tests.interop.debs postgresql
	@$(RUN) -m benchmarks.outbox_postgres $(ARGS)

types: $(EXTENSION) $(VENV)/group-types
	$(PY) -m mypy
	$(PY) -m pyright --pythonpath $(PY)
	@if [ "$$(cat $(EXTENSION))" = 1 ]; then set -x; $(PY) -m mypy.stubtest aiosmtplib._speedups; \
	else echo "stubtest skipped: no compiled extension here"; fi

style: $(VENV)/group-style
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

docs: $(VENV)/group-docs
	@$(PY) -m sphinx -b html -W --keep-going -q -d build/doctrees docs build/docs
	@echo build/docs/index.html

# Each page in a browser where there is one, and the examples that need other projects' packages.
docs-check: $(EXTENSION) docs
	@$(RUN) $(PYTEST) $(PARALLEL) --dist loadfile tests/docs $(ARGS)

clean:
	rm -rf $(VENV) .interop-cache .compat-cache build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
	  .hypothesis .benchmarks .coverage .coverage.*
	rm -f aiosmtplib/_speedups*.so aiosmtplib/_speedups*.pyd _speedups/_speedups.c

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "Python 3.10 or newer is needed, and $(PYTHON) is not one. Name yours: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >$(VENV).log 2>&1 || $(PYTHON) -m virtualenv -q $(VENV) >>$(VENV).log 2>&1 || { \
	  cat $(VENV).log; rm -rf $(VENV) $(VENV).log; \
	  echo "$(PYTHON) cannot make virtual environments. Install its venv module (Debian and Ubuntu: python3-venv)."; \
	  exit 1; }
	@rm -f $(VENV).log
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --upgrade "pip>=25.1"

$(VENV)/group-%: pyproject.toml | $(PY)
	@$(PIP) install --group $*
	@touch $@

# A compiler may have appeared since, or the built file may be gone: then look again.
ifneq ($(shell cat $(EXTENSION) 2>/dev/null),1)
$(EXTENSION): FORCE
else ifeq ($(wildcard aiosmtplib/_speedups*.so),)
$(EXTENSION): FORCE
endif

# With a compiler a failed build is an error of ours, not a reason to go on.
# What the demo needs to be built, and the others to run.
test faults sanitize valgrind fuzz interop soak outbox types: $(VENV)/group-test
$(EXTENSION): $(VENV)/group-build setup.py $(wildcard _speedups/*.pyx _speedups/*.pxi _speedups/*.h)
	@if $(PY) -m tests.support.toolchain; then \
	  unset AIOSMTPLIB_NO_EXTENSIONS; \
	  AIOSMTPLIB_REQUIRE_EXTENSIONS=1 $(PY) setup.py --quiet build_ext --inplace && echo 1 >$@; \
	else \
	  echo "Going on with the pure-Python twin."; echo 0 >$@; \
	fi

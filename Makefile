# SPDX-License-Identifier: GPL-2.0
# kmod/kvm.ko and user/vitro.  KDIR chooses the kernel's headers; W=1 and C=2
# mean what they mean to kbuild.  scripts/lab does all the rest, and ARGS= go to
# it: make run ARGS="--cpus 4".

newest := $(lastword $(shell printf '%s\n' $(wildcard /usr/src/linux-headers-*-amd64) | sort -V))
running := $(wildcard /lib/modules/$(shell uname -r)/build)
KDIR ?= $(or $(running),$(newest))

all: kmod user

kmod:
	@test -e $(KDIR)/Makefile || { echo "no kernel headers in '$(KDIR)':" \
		"install linux-headers-amd64, or say where with KDIR=" >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

user:
	$(MAKE) -C user

selftests:
	$(MAKE) -C selftests

run test bench:
	scripts/lab $@ $(ARGS)

clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean
	$(MAKE) -C user clean
	$(MAKE) -C selftests clean

.PHONY: all kmod user selftests run test bench clean

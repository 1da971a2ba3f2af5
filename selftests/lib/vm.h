/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The test's side: VMs and vCPUs by ioctl on /dev/kvm, nothing between.
 *
 * What must work for a test to make sense is done by functions that end the
 * test with a line saying what failed; what a test is about is called bare and
 * judged by its ASSERTs.  A guest that hangs ends its test after VM_TIMEOUT
 * seconds (vm_slowness() times as many), with the vCPU's registers.
 */
#ifndef SELFTESTS_VM_H
#define SELFTESTS_VM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "guest.h"

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define PAGE_SIZE	4096ULL
#define MiB		(1ULL << 20)
#define GiB		(1ULL << 30)

enum {
	VM_TIMEOUT = 30,	/* seconds */
	VM_MAX_VCPUS = 256,
};

/*
 * Guest physical memory.  Below 4 GiB guest virtual is the same; all above is
 * for vm_map().
 *
 *	0		VM_LOW_SIZE	RAM, for real mode
 *	image		image's end	this program
 *	VM_RAM		wherever	for slots of a test's own
 *	VM_MMIO		VM_MMIO + 1 GiB	never RAM
 *	0xfec00000, 0xfee00000		I/O APIC and local APIC
 */
#define VM_LOW_SIZE	(64 * 1024ULL)
#define VM_RAM		(1 * GiB)
#define VM_MMIO		(2 * GiB)
#define VM_UNMAPPED	(4 * GiB)	/* first guest virtual address without a mapping */

enum vm_flags { VM_PLAIN = 0, VM_IRQCHIP = 1 << 0, VM_PIT = 1 << 1 };
enum { SLOT_IMAGE, SLOT_LOW, SLOT_TEST };	/* a test's own from SLOT_TEST on */

struct vm {
	int dev, fd;
	struct vcpu *vcpus[VM_MAX_VCPUS];
	u8 *low;			/* guest physical 0 */
};

struct vcpu {
	struct vm *vm;
	int fd;
	u32 id;
	struct kvm_run *run;
	size_t run_size;
	struct guest_cpu *guest;
	u64 stack;			/* its upper end */
	u64 result;			/* of vcpu_spawn() */
};

typedef u64 (*guest_fn)(u64 arg);

/* Say why and end the test as failed; callable from any thread. */
void __attribute__((noreturn, format(printf, 1, 2))) vm_die(const char *format, ...);

/*
 * Keep this thread, and those that it makes, on the @n-th of the CPUs that were
 * left to the test; false when there are fewer.
 */
bool use_cpu(unsigned int n);

/* How many times as long as usual a test may take on this machine. */
u32 vm_slowness(void);

/* errno of a call that returned @ret, 0 if it went well. */
static inline int errno_of(long ret)
{
	return ret < 0 ? errno : 0;
}

/* An ioctl that has to work; yields what it returned. */
#define kvm_do(fd, request, arg) ({					\
	long ret_ = ioctl(fd, request, arg);				\
	if (ret_ < 0)							\
		vm_die("%s:%d: " #request ": %m", __FILE__, __LINE__);	\
	ret_;								\
})

#define die_unless(cond) \
	do { if (!(cond)) vm_die("%s:%d: not so: %s", __FILE__, __LINE__, #cond); } while (0)

int kvm_open(void);
int kvm_cap(long cap);			/* KVM_CHECK_EXTENSION on /dev/kvm */
struct kvm_cpuid2 *kvm_supported_cpuid(void);	/* static; entries may be edited */
struct kvm_cpuid_entry2 *kvm_cpuid_find(struct kvm_cpuid2 *cpuid, u32 leaf, u32 subleaf);
bool kvm_cpu_is_amd(void);
bool kvm_cpu_is_tcg(void);		/* QEMU's emulation, which leaves out some checks */
bool kvm_cpu_is_bochs_amd(void);	/* Bochs's AMD-V, which gets some things wrong */
bool kvm_is_stock(void);		/* Linux's own, not this project's */

/* A VM with the image and low memory in it; ends with the process or vm_destroy(). */
void vm_create(struct vm *vm, unsigned int flags);
/* The same and one vCPU in it. */
struct vcpu *vm_create_one(struct vm *vm, unsigned int flags);
/* A bare VM: no memory, no irqchip. */
void vm_create_bare(struct vm *vm);
void vm_destroy(struct vm *vm);
int vm_set_slot(struct vm *vm, u32 slot, u64 gpa, u64 size, void *hva, u32 flags);
/* Anonymous memory at @gpa; returns its hva. */
void *vm_add_ram(struct vm *vm, u32 slot, u64 gpa, u64 size, u32 flags);
/*
 * Map one 4K page in the guest's page tables, which all VMs of a test share;
 * @bits: X86_PTE_*.  @gva: VM_UNMAPPED or more.
 */
enum x86_pte { X86_PTE_P = 1 << 0, X86_PTE_W = 1 << 1, X86_PTE_U = 1 << 2, X86_PTE_A = 1 << 5, X86_PTE_D = 1 << 6 };
#define X86_PTE_NX	(1ULL << 63)
u64 *vm_map(u64 gva, u64 gpa, u64 bits);
u64 vm_cr3(void);

/* Long mode, CPL 0, the supported CPUID. */
struct vcpu *vm_add_vcpu(struct vm *vm, u32 id);
/* As KVM_CREATE_VCPU leaves it, but for CPUID. */
struct vcpu *vm_add_reset_vcpu(struct vm *vm, u32 id);
void vcpu_long_mode(struct vcpu *vcpu);
/* Real mode at 0:@ip, which is in low memory, flat zero segments. */
void vcpu_real_mode(struct vcpu *vcpu, u16 ip);
/* Protected mode without paging, flat 32-bit segments, at @eip. */
void vcpu_protected_mode(struct vcpu *vcpu, u32 eip);
/* Copy code that does not run in long mode to guest physical @gpa in low memory. */
#define vm_load(vm, gpa, name) ({					\
	extern const u8 name[], name##_end[];				\
	memcpy((vm)->low + (gpa), name, name##_end - name);		\
	(gpa);								\
})

/* Let the vCPU begin @fn(@arg) at its next entry. */
void vcpu_start(struct vcpu *vcpu, guest_fn fn, u64 arg);
/* One KVM_RUN, which must not fail: the exit reason. Guest failures end the test. */
u32 vcpu_enter(struct vcpu *vcpu);
/* Run to the end of the guest, no other exit allowed: its result. */
u64 vcpu_finish(struct vcpu *vcpu);
/* The same, over any guest_sync() on the way. */
u64 vcpu_drain(struct vcpu *vcpu);
/* Run to guest_sync(): its value. */
u32 vcpu_sync(struct vcpu *vcpu);
u64 vcpu_call(struct vcpu *vcpu, guest_fn fn, u64 arg);
/* The same in a thread of its own. */
void vcpu_spawn(struct vcpu *vcpu, guest_fn fn, u64 arg);
void vcpu_spawn_entered(struct vcpu *vcpu);	/* state set by the test */
u64 vcpu_join(struct vcpu *vcpu);
/*
 * Join a thread that a signal gets out of KVM_RUN; signals it more than once, as
 * one that comes before KVM_RUN ends nothing.  Returns what the thread returned.
 */
void *interrupt_thread(pthread_t thread);
/* KVM_RUN by a thread of its own, which gets @usec before it is interrupted; its errno. */
int vcpu_enter_interrupted(struct vcpu *vcpu, u32 usec);

struct kvm_regs vcpu_regs(struct vcpu *vcpu);
void vcpu_set_regs(struct vcpu *vcpu, const struct kvm_regs *regs);
struct kvm_sregs vcpu_sregs(struct vcpu *vcpu);
void vcpu_set_sregs(struct vcpu *vcpu, const struct kvm_sregs *sregs);
struct kvm_vcpu_events vcpu_events(struct vcpu *vcpu);
void vcpu_set_events(struct vcpu *vcpu, const struct kvm_vcpu_events *events);
u32 vcpu_mp_state(struct vcpu *vcpu);
void vcpu_set_mp_state(struct vcpu *vcpu, u32 state);
/* One MSR: 1 done, 0 refused. */
int vcpu_get_msr(struct vcpu *vcpu, u32 index, u64 *val);
int vcpu_set_msr(struct vcpu *vcpu, u32 index, u64 val);
u64 vcpu_msr(struct vcpu *vcpu, u32 index);	/* must be there */
void vcpu_set_cpuid(struct vcpu *vcpu, struct kvm_cpuid2 *cpuid);
u32 xapic_state_reg(struct kvm_lapic_state *state, enum apic_reg reg);
void xapic_state_set_reg(struct kvm_lapic_state *state, enum apic_reg reg, u32 val);

/*
 * Does the module learn of the guest's XSETBV?  QEMU 7.2's TCG never makes an
 * exit of it, so a module that waits for one does not know the guest's XCR0.
 */
bool vcpu_sees_xsetbv(struct vcpu *vcpu);
#define NO_XSETBV_EXIT "XSETBV makes no exit on this CPU"

void vm_irq_line(struct vm *vm, u32 gsi, u32 level);	/* KVM_IRQ_LINE, which must work */
void vm_irq_pulse(struct vm *vm, u32 gsi);
int vm_signal_msi(struct vm *vm, u32 dest, u32 data);	/* what KVM_SIGNAL_MSI returns */
int vm_set_routes(struct vm *vm, const struct kvm_irq_routing_entry *entries, u32 nr, u32 flags);

/* What the last exit has of string or single port I/O. */
static inline void *vcpu_pio_data(struct vcpu *vcpu)
{
	return (u8 *)vcpu->run + vcpu->run->io.data_offset;
}

const char *exit_name(u32 reason);

/* Wait for something another thread brings about; false after ten seconds or more. */
#define wait_until(cond) ({						\
	int waited_;							\
	for (waited_ = 0; !(cond) && waited_ < 10000; waited_++)	\
		usleep(1000);						\
	waited_ < 10000;						\
})

#endif /* SELFTESTS_VM_H */

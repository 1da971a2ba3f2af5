// SPDX-License-Identifier: GPL-2.0
/* Exits that are neither I/O nor state: HLT, hypercalls, hints, shutdown, and leaving KVM_RUN. */
#include "test.h"
#include <linux/kvm_para.h>
#include <sys/time.h>

FIXTURE(exits) {
	struct vm vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(exits)
{
	self->vcpu = vm_create_one(&self->vm, 0);
}

FIXTURE_TEARDOWN(exits)
{
	vm_destroy(&self->vm);
}

/* ---- HLT ---- */

extern u8 after_hlt[];

static u64 halts(u64 arg)
{
	asm volatile("hlt\nafter_hlt:");
	return 5;
}

TEST_F(exits, hlt_without_a_local_apic_goes_to_user_space)
{
	vcpu_start(self->vcpu, halts, 0);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_enter(self->vcpu));
	EXPECT_EQ((u64)after_hlt, vcpu_regs(self->vcpu).rip);
	EXPECT_EQ(5, vcpu_finish(self->vcpu));
}

static u64 hlt_vector(u64 arg)
{
	return guest_try("hlt");
}

static u64 hlt_at_cpl3(u64 arg)
{
	return guest_user(hlt_vector, 0, 0);
}

TEST_F(exits, hlt_at_cpl_3_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, hlt_at_cpl3, 0));
}

/* ---- hypercalls ---- */

u64 hypercall_vmmcall(u64 nr, u64 a0, u64 a1);
u64 hypercall_vmcall(u64 nr, u64 a0, u64 a1);

enum { HC_NOBODY_HAS = 0x5555 };

static u64 by_vmmcall(u64 nr)
{
	return hypercall_vmmcall(nr, 0, 0);
}

static u64 by_vmcall(u64 nr)
{
	return hypercall_vmcall(nr, 0, 0);
}

TEST_F(exits, vmmcall_is_a_hypercall)
{
	EXPECT_EQ(0, vcpu_call(self->vcpu, by_vmmcall, KVM_HC_VAPIC_POLL_IRQ));
}

TEST_F(exits, vmcall_is_a_hypercall)
{
	EXPECT_EQ(0, vcpu_call(self->vcpu, by_vmcall, KVM_HC_VAPIC_POLL_IRQ));
}

static u64 call_at(u64 code)
{
	u64 nr = KVM_HC_VAPIC_POLL_IRQ;

	asm volatile("call *%1" : "+a"(nr) : "r"(code) : "rbx", "rcx", "rdx", "rsi", "memory");
	return nr;
}

TEST_F(exits, either_hypercall_works_as_the_last_instruction_but_one_of_a_page)
{
	static const char * const code[] = { "\x0f\x01\xc1\xc3", "\x0f\x01\xd9\xc3" };	/* and RET */
	u8 *ram = vm_add_ram(&self->vm, SLOT_TEST, VM_RAM, 2 * PAGE_SIZE, 0);

	for (u32 i = 0; i < ARRAY_SIZE(code); i++) {
		memcpy(ram + PAGE_SIZE - 4, code[i], 4);
		EXPECT_EQ(0, vcpu_call(self->vcpu, call_at, VM_RAM + PAGE_SIZE - 4));
	}
}

TEST_F(exits, unknown_hypercall_returns_enosys)
{
	EXPECT_EQ(-KVM_ENOSYS, (s64)vcpu_call(self->vcpu, by_vmmcall, HC_NOBODY_HAS));
	EXPECT_EQ(-KVM_ENOSYS, (s64)vcpu_call(self->vcpu, by_vmcall, HC_NOBODY_HAS));
}

static u64 vmmcall_at_cpl3(u64 nr)
{
	return guest_user(by_vmmcall, nr, 0);
}

TEST_F(exits, hypercall_at_cpl_3_returns_eperm)
{
	EXPECT_EQ(-KVM_EPERM, (s64)vcpu_call(self->vcpu, vmmcall_at_cpl3, KVM_HC_VAPIC_POLL_IRQ));
}

static u64 many_vmcalls(u64 count)
{
	u64 sum = 0;

	for (u64 i = 0; i < count; i++)
		sum += hypercall_vmcall(HC_NOBODY_HAS, i, i);
	return sum;
}

TEST_F(exits, the_other_vendors_hypercall_works_again_and_again)
{
	EXPECT_EQ(-50LL * KVM_ENOSYS, (s64)vcpu_call(self->vcpu, many_vmcalls, 50));
}

/* ---- hints and caches: done, or nothing, and the guest goes on ---- */

static u64 cache_instructions(u64 arg)
{
	asm volatile("wbinvd" : : : "memory");
	asm volatile("invd" : : : "memory");
	return 9;
}

TEST_F(exits, invd_and_wbinvd_go_on)
{
	EXPECT_EQ(9, vcpu_call(self->vcpu, cache_instructions, 0));
}

static u64 wbinvd_user(u64 arg)
{
	return guest_try("wbinvd");
}

static u64 wbinvd_at_cpl3(u64 arg)
{
	return guest_user(wbinvd_user, 0, 0);
}

TEST_F(exits, wbinvd_at_cpl_3_raises_gp)
{
	EXPECT_EQ(GP_VECTOR, vcpu_call(self->vcpu, wbinvd_at_cpl3, 0));
}

static u64 pauses(u64 count)
{
	for (u64 i = 0; i < count; i++)
		cpu_relax();
	return count;
}

TEST_F(exits, pause_goes_on)
{
	EXPECT_EQ(5000, vcpu_call(self->vcpu, pauses, 5000));
}

/*
 * CPUID offers no MONITOR: the manuals say #UD then.  Stock KVM runs it as a
 * no-op as long as KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS is on, as it is at first.
 */
static u64 monitor_mwait(u64 arg)
{
	static u64 line;
	u8 monitor = guest_try("monitor", : "a"(&line), "c"(0), "d"(0));
	u8 mwait = guest_try("mwait", : "a"(0), "c"(0));

	guest_check_eq(monitor, mwait);
	return monitor;
}

TEST_F(exits, monitor_and_mwait_are_no_ops)
{
	EXPECT_EQ(NO_VECTOR, vcpu_call(self->vcpu, monitor_mwait, 0));
}

TEST_F(exits, monitor_and_mwait_raise_ud_without_the_quirk)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_DISABLE_QUIRKS2,
		.args[0] = KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS,
	};

	NEED(kvm_cap(KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS,
	     "the quirk cannot be turned off");
	kvm_do(self->vm.fd, KVM_ENABLE_CAP, &cap);
	EXPECT_EQ(UD_VECTOR, vcpu_call(self->vcpu, monitor_mwait, 0));
}

/* ---- instructions of hypervisors, where CPUID has no SVM ---- */

enum { BIT_SVM = 1 << 2 };		/* leaf 0x80000001 ECX */

static u64 svm_instructions(u64 arg)
{
	guest_check_eq(UD_VECTOR, guest_try("vmrun", : "a"(0)));
	guest_check_eq(UD_VECTOR, guest_try("vmload", : "a"(0)));
	guest_check_eq(UD_VECTOR, guest_try("vmsave", : "a"(0)));
	guest_check_eq(UD_VECTOR, guest_try("invlpga", : "a"(0), "c"(0)));
	return 1;
}

static u64 gif_instructions(u64 arg)
{
	guest_check_eq(UD_VECTOR, guest_try("stgi"));
	guest_check_eq(UD_VECTOR, guest_try("clgi"));
	return 1;
}

static struct vcpu *add_vcpu_without_svm(struct vm *vm)
{
	struct vcpu *vcpu = vm_add_reset_vcpu(vm, 1);
	struct kvm_cpuid2 *cpuid = kvm_supported_cpuid();

	kvm_cpuid_find(cpuid, 0x80000001, 0)->ecx &= ~BIT_SVM;
	vcpu_set_cpuid(vcpu, cpuid);
	vcpu_long_mode(vcpu);
	return vcpu;
}

TEST_F(exits, svm_instructions_raise_ud_where_cpuid_has_no_svm)
{
	EXPECT_EQ(1, vcpu_call(add_vcpu_without_svm(&self->vm), svm_instructions, 0));
}

TEST_F(exits, stgi_and_clgi_raise_ud_where_cpuid_has_no_svm)
{
	NEED(!kvm_is_stock() || !kvm_cpu_is_amd(), "stock KVM lets the guest run them where the CPU has VGIF");
	EXPECT_EQ(1, vcpu_call(add_vcpu_without_svm(&self->vm), gif_instructions, 0));
}

static u64 rsm_vector(u64 arg)
{
	return guest_try("rsm");
}

TEST_F(exits, rsm_outside_smm_raises_ud)
{
	EXPECT_EQ(UD_VECTOR, vcpu_call(self->vcpu, rsm_vector, 0));
}

/* ---- ends ---- */

static u64 triple_fault(u64 arg)
{
	static const struct { u16 limit; u64 base; } __attribute__((packed)) no_idt;

	asm volatile("lidt %0; ud2" : : "m"(no_idt));
	return 0;
}

TEST_F(exits, triple_fault_is_a_shutdown)
{
	vcpu_start(self->vcpu, triple_fault, 0);
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_enter(self->vcpu));
}

TEST_F(exits, triple_fault_with_an_irqchip_is_a_shutdown)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	vcpu_start(vcpu, triple_fault, 0);
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_enter(vcpu));
}

/* ---- leaving KVM_RUN ---- */

static u64 spin(u64 arg)
{
	for (;;)
		cpu_relax();
	return 0;
}

static void on_signal(int sig)
{
}

static void catch_signal(int sig)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(sig, &action, NULL);
}

TEST_F(exits, immediate_exit_returns_eintr_before_the_guest_runs)
{
	u64 rip;

	NEED_CAP(KVM_CAP_IMMEDIATE_EXIT);
	vcpu_start(self->vcpu, spin, 0);
	rip = vcpu_regs(self->vcpu).rip;
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	EXPECT_EQ(rip, vcpu_regs(self->vcpu).rip);
}

TEST_F(exits, immediate_exit_can_be_taken_back)
{
	NEED_CAP(KVM_CAP_IMMEDIATE_EXIT);
	vcpu_start(self->vcpu, pauses, 7);
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	self->vcpu->run->immediate_exit = 0;
	EXPECT_EQ(7, vcpu_finish(self->vcpu));
}

/*
 * A CPU timer's signal is sent by work that the thread does on its way to user mode:
 * it must end this KVM_RUN, not be handled before the system call restarts.
 */
TEST_F(exits, a_signal_ends_kvm_run_with_eintr)
{
	struct itimerval timer = { .it_value.tv_usec = 20000 };
	struct timespec used;

	catch_signal(SIGVTALRM);
	vcpu_start(self->vcpu, spin, 0);
	setitimer(ITIMER_VIRTUAL, &timer, NULL);
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	EXPECT_EQ(KVM_EXIT_INTR, self->vcpu->run->exit_reason);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	EXPECT_GT(2, used.tv_sec);
}

TEST_F(exits, a_signal_wakes_a_halted_vcpu)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	vcpu_start(vcpu, halts, 0);
	EXPECT_EQ(EINTR, vcpu_enter_interrupted(vcpu, 50000));
}

TEST_F(exits, signal_mask_lets_in_a_signal_that_the_thread_blocks)
{
	struct {
		struct kvm_signal_mask head;
		u8 bits[8];
	} mask = { .head.len = 8 };
	sigset_t blocked;

	catch_signal(SIGUSR1);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask)) TH_LOG("%m");
	vcpu_start(self->vcpu, spin, 0);
	raise(SIGUSR1);
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
}

static volatile bool busy_enough;

static void *be_busy(void *arg)
{
	while (!busy_enough)
		;
	return NULL;
}

static u64 spin_a_while(u64 ticks)
{
	for (u64 end = rdtsc() + ticks; rdtsc() < end; )
		;
	return 7;
}

/* Being preempted leaves work to be done on the way to user space (rseq), which must not see it. */
TEST_F(exits, with_a_signal_mask_a_busy_machine_is_not_noticed)
{
	struct {
		struct kvm_signal_mask head;
		u8 bits[8];
	} mask = { .head.len = 8 };
	pthread_t others[4];
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	ASSERT_EQ(0, ioctl(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &mask)) TH_LOG("%m");
	for (u32 i = 0; i < ARRAY_SIZE(others); i++)
		ASSERT_EQ(0, pthread_create(&others[i], NULL, be_busy, NULL));
	EXPECT_EQ(7, vcpu_call(self->vcpu, spin_a_while,
			       200ULL * ioctl(self->vcpu->fd, KVM_GET_TSC_KHZ, 0)));
	busy_enough = true;
	for (u32 i = 0; i < ARRAY_SIZE(others); i++)
		pthread_join(others[i], NULL);
}

/* A pending signal comes before the guest, but what the last exit left is completed. */
TEST_F(exits, a_pending_signal_keeps_the_guest_from_running)
{
	u64 rip;

	catch_signal(SIGUSR1);
	vcpu_start(self->vcpu, spin, 0);
	rip = vcpu_regs(self->vcpu).rip;
	self->vcpu->run->immediate_exit = 1;
	raise(SIGUSR1);
	EXPECT_EQ(EINTR, errno_of(ioctl(self->vcpu->fd, KVM_RUN, 0)));
	EXPECT_EQ(rip, vcpu_regs(self->vcpu).rip);
}

/* ---- kvm_run's own fields ---- */

static u64 sync_with_flags(u64 arg)
{
	guest_sync(1);
	irq_enable();
	guest_sync(2);
	irq_disable();
	return 0;
}

TEST_F(exits, kvm_run_tells_the_interrupt_flag)
{
	vcpu_start(self->vcpu, sync_with_flags, 0);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->vcpu->run->if_flag);
	ASSERT_EQ(2, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, self->vcpu->run->if_flag);
	vcpu_finish(self->vcpu);
}

TEST_F(exits, kvm_run_tells_the_apic_base)
{
	struct vm vm;
	struct vcpu *vcpu = vm_create_one(&vm, VM_IRQCHIP);

	vcpu_call(vcpu, pauses, 1);
	EXPECT_EQ(APIC_BASE_ADDR | APIC_BASE_ENABLE | APIC_BASE_BSP, vcpu->run->apic_base);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* Why a vCPU cannot go on, in words, and with its registers. */
#include <stdio.h>
#include <sys/ioctl.h>

#include "term.h"
#include "vcpu.h"

static void report_internal_error(const struct kvm_run *run)
{
	const u8 *insn = run->emulation_failure.insn_bytes;

	switch (run->internal.suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		fprintf(stderr, "KVM cannot emulate an instruction");
		break;
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		fprintf(stderr, "KVM cannot deliver an event");
		break;
	default:
		fprintf(stderr, "KVM has an internal error, suberror %u", run->internal.suberror);
	}
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && run->internal.ndata > 1 &&
	    (run->emulation_failure.flags &
	     KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		fprintf(stderr, ":");
		for (unsigned int i = 0; i < run->emulation_failure.insn_size &&
					 i < sizeof(run->emulation_failure.insn_bytes); i++)
			fprintf(stderr, " %02x", insn[i]);
		return;
	}
	for (u32 i = 0; i < run->internal.ndata && i < ARRAY_SIZE(run->internal.data); i++)
		fprintf(stderr, "%s 0x%llx", i ? "," : ":", run->internal.data[i]);
}

static void report_reason(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		fprintf(stderr, "triple fault");
		break;
	case KVM_EXIT_FAIL_ENTRY:
		fprintf(stderr, "entry into the guest failed, hardware reason 0x%llx on CPU %u",
			run->fail_entry.hardware_entry_failure_reason, run->fail_entry.cpu);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		report_internal_error(run);
		break;
	case KVM_EXIT_UNKNOWN:
		fprintf(stderr, "an exit that KVM does not know, hardware reason 0x%llx",
			run->hw.hardware_exit_reason);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		fprintf(stderr, "system event %u", run->system_event.type);
		break;
	default:
		fprintf(stderr, "unexpected exit reason %u", run->exit_reason);
	}
}

static void report_general(const struct kvm_regs *r)
{
	fprintf(stderr,
		"rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx\n"
		"rsi %016llx  rdi %016llx  rbp %016llx  rsp %016llx\n"
		"r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx\n"
		"r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx\n"
		"rip %016llx  rflags %08llx\n",
		r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rbp, r->rsp,
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
		r->rip, r->rflags);
}

static void report_segment(const char *name, const struct kvm_segment *s)
{
	fprintf(stderr, "%s  %04x  base %016llx  limit %08x  type %x s %u dpl %u p %u l %u db %u\n",
		name, s->selector, s->base, s->limit, s->type, s->s, s->dpl, s->present,
		s->l, s->db);
}

static void report_system(const struct kvm_sregs *s)
{
	fprintf(stderr,
		"cr0 %016llx  cr2 %016llx  cr3 %016llx  cr4 %016llx\n"
		"efer %llx  cr8 %llx  apic base %llx\n",
		s->cr0, s->cr2, s->cr3, s->cr4, s->efer, s->cr8, s->apic_base);
	report_segment("cs", &s->cs);
	report_segment("ss", &s->ss);
	report_segment("ds", &s->ds);
	report_segment("es", &s->es);
	report_segment("fs", &s->fs);
	report_segment("gs", &s->gs);
	report_segment("tr", &s->tr);
	report_segment("ld", &s->ldt);
	fprintf(stderr, "gdt  base %016llx  limit %04x\nidt  base %016llx  limit %04x\n",
		s->gdt.base, s->gdt.limit, s->idt.base, s->idt.limit);
}

/**
 * vcpu_report() - say on standard error why a vCPU cannot go on.
 * @vcpu: the vCPU, out of the guest; called in its thread.
 * @error: what KVM_RUN failed with, or NULL when its exit tells.
 *
 * The terminal is restored first.
 */
void vcpu_report(const struct vcpu *vcpu, const char *error)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	term_restore();
	fprintf(stderr, "vitro: vCPU %u: ", vcpu->id);
	if (error)
		fprintf(stderr, "KVM_RUN: %s", error);
	else
		report_reason(vcpu->run);
	fprintf(stderr, "\n");
	if (ioctl(vcpu->fd, KVM_GET_REGS, &regs) == 0)
		report_general(&regs);
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) == 0)
		report_system(&sregs);
}

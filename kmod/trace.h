/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, in the system, with the names and the fields that stock KVM
 * has: perf kvm, trace-cmd and kvm_stat know them.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

#if !defined(VITRO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VITRO_TRACE_H

#include <linux/tracepoint.h>
#include <linux/kvm.h>
#include <uapi/asm/svm.h>
#include <uapi/asm/vmx.h>
#include "backend.h"
#include "vcpu.h"

/* A field that has the name of its argument. */
#define SET(field) __entry->field = field

#define TRACE_ISA_VMX	1

TRACE_EVENT(kvm_entry,
	TP_PROTO(struct vcpu *vcpu, bool immediate_exit),
	TP_ARGS(vcpu, immediate_exit),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(unsigned long, rip)
		__field(bool, immediate_exit)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu->id;
		__entry->rip = vcpu->rip;
		SET(immediate_exit);
	),
	TP_printk("vcpu %u, rip 0x%lx%s", __entry->vcpu_id, __entry->rip,
		  __entry->immediate_exit ? "[immediate exit]" : "")
);

TRACE_EVENT(kvm_exit,
	TP_PROTO(struct vcpu *vcpu, u32 isa),
	TP_ARGS(vcpu, isa),
	TP_STRUCT__entry(
		__field(unsigned int, exit_reason) __field(unsigned long, guest_rip)
		__field(u32, isa) __field(u64, info1) __field(u64, info2) __field(u32, intr_info)
		__field(u32, error_code) __field(unsigned int, vcpu_id)
	),
	TP_fast_assign(
		__entry->guest_rip = vcpu->rip;
		SET(isa);
		__entry->vcpu_id = vcpu->id;
		backend(exit_info)(vcpu, &__entry->exit_reason, &__entry->info1,
				   &__entry->info2, &__entry->intr_info, &__entry->error_code);
	),
	TP_printk("vcpu %u reason %s rip 0x%lx info1 0x%016llx info2 0x%016llx intr_info 0x%08x error_code 0x%08x",
		  __entry->vcpu_id,
		  __entry->isa == TRACE_ISA_VMX ?
			__print_symbolic(__entry->exit_reason & 0xffff, VMX_EXIT_REASONS) :
			__print_symbolic(__entry->exit_reason, SVM_EXIT_REASONS),
		  __entry->guest_rip, __entry->info1, __entry->info2,
		  __entry->intr_info, __entry->error_code)
);

TRACE_EVENT(kvm_page_fault,
	TP_PROTO(struct vcpu *vcpu, u64 fault_address, u64 error_code),
	TP_ARGS(vcpu, fault_address, error_code),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(unsigned long, guest_rip)
		__field(u64, fault_address) __field(u64, error_code)
	),
	TP_fast_assign(
		__entry->vcpu_id = vcpu->id;
		__entry->guest_rip = vcpu->rip;
		SET(fault_address); SET(error_code);
	),
	TP_printk("vcpu %u rip 0x%lx address 0x%016llx error_code 0x%llx",
		  __entry->vcpu_id, __entry->guest_rip,
		  __entry->fault_address, __entry->error_code)
);

TRACE_EVENT(kvm_pio,
	TP_PROTO(unsigned int rw, unsigned int port, unsigned int size, unsigned int count,
		 const void *data),
	TP_ARGS(rw, port, size, count, data),
	TP_STRUCT__entry(
		__field(unsigned int, rw) __field(unsigned int, port) __field(unsigned int, size)
		__field(unsigned int, count) __field(unsigned int, val)
	),
	TP_fast_assign(
		SET(rw); SET(port); SET(size); SET(count);
		__entry->val = 0;
		memcpy(&__entry->val, data, min_t(unsigned int, size, sizeof(__entry->val)));
	),
	TP_printk("pio_%s at 0x%x size %d count %d val 0x%x %s",
		  __entry->rw ? "write" : "read", __entry->port, __entry->size,
		  __entry->count, __entry->val, __entry->count > 1 ? "(...)" : "")
);

#define KVM_TRACE_MMIO_READ_UNSATISFIED 0
#define KVM_TRACE_MMIO_READ 1
#define KVM_TRACE_MMIO_WRITE 2

TRACE_EVENT(kvm_mmio,
	TP_PROTO(int type, int len, u64 gpa, const void *val),
	TP_ARGS(type, len, gpa, val),
	TP_STRUCT__entry(
		__field(u32, type) __field(u32, len) __field(u64, gpa) __field(u64, val)
	),
	TP_fast_assign(
		SET(type); SET(len); SET(gpa);
		__entry->val = 0;
		if (val)
			memcpy(&__entry->val, val, min_t(u32, len, sizeof(__entry->val)));
	),
	TP_printk("mmio %s len %u gpa 0x%llx val 0x%llx",
		  __print_symbolic(__entry->type,
				   { KVM_TRACE_MMIO_READ_UNSATISFIED, "unsatisfied-read" },
				   { KVM_TRACE_MMIO_READ, "read" },
				   { KVM_TRACE_MMIO_WRITE, "write" }),
		  __entry->len, __entry->gpa, __entry->val)
);

TRACE_EVENT(kvm_msr,
	TP_PROTO(unsigned int write, u32 ecx, u64 data, bool exception),
	TP_ARGS(write, ecx, data, exception),
	TP_STRUCT__entry(
		__field(unsigned int, write) __field(u32, ecx) __field(u64, data)
		__field(u8, exception)
	),
	TP_fast_assign(
		SET(write); SET(ecx); SET(data); SET(exception);
	),
	TP_printk("msr_%s %x = 0x%llx%s", __entry->write ? "write" : "read",
		  __entry->ecx, __entry->data, __entry->exception ? " (#GP)" : "")
);

TRACE_EVENT(kvm_cpuid,
	TP_PROTO(unsigned int function, unsigned int index, unsigned long rax, unsigned long rbx,
		 unsigned long rcx, unsigned long rdx, bool found, bool used_max_basic),
	TP_ARGS(function, index, rax, rbx, rcx, rdx, found, used_max_basic),
	TP_STRUCT__entry(
		__field(unsigned int, function) __field(unsigned int, index)
		__field(unsigned long, rax) __field(unsigned long, rbx)
		__field(unsigned long, rcx) __field(unsigned long, rdx) __field(bool, found)
		__field(bool, used_max_basic)
	),
	TP_fast_assign(
		SET(function); SET(index); SET(rax); SET(rbx); SET(rcx); SET(rdx); SET(found);
		SET(used_max_basic);
	),
	TP_printk("func %x idx %x rax %lx rbx %lx rcx %lx rdx %lx, cpuid entry %s%s",
		  __entry->function, __entry->index, __entry->rax, __entry->rbx,
		  __entry->rcx, __entry->rdx, __entry->found ? "found" : "not found",
		  __entry->used_max_basic ? ", used max basic" : "")
);

TRACE_EVENT(kvm_inj_virq,
	TP_PROTO(unsigned int vector, bool soft, bool reinjected),
	TP_ARGS(vector, soft, reinjected),
	TP_STRUCT__entry(
		__field(unsigned int, vector) __field(bool, soft) __field(bool, reinjected)
	),
	TP_fast_assign(
		SET(vector); SET(soft); SET(reinjected);
	),
	TP_printk("%s 0x%x%s", __entry->soft ? "Soft/INTn" : "IRQ", __entry->vector,
		  __entry->reinjected ? " [reinjected]" : "")
);

#define REASON(name) { KVM_EXIT_##name, "KVM_EXIT_" #name }
#define KVM_EXIT_REASONS							\
	REASON(UNKNOWN), REASON(EXCEPTION), REASON(IO), REASON(HYPERCALL),	\
	REASON(DEBUG), REASON(HLT), REASON(MMIO), REASON(IRQ_WINDOW_OPEN),	\
	REASON(SHUTDOWN), REASON(FAIL_ENTRY), REASON(INTR), REASON(SET_TPR),	\
	REASON(TPR_ACCESS), REASON(INTERNAL_ERROR), REASON(SYSTEM_EVENT)

TRACE_EVENT(kvm_userspace_exit,
	TP_PROTO(__u32 reason, int errno),
	TP_ARGS(reason, errno),
	TP_STRUCT__entry(
		__field(__u32, reason) __field(int, errno)
	),
	TP_fast_assign(
		SET(reason); SET(errno);
	),
	TP_printk("reason %s (%d)",
		  __entry->errno < 0 ?
			(__entry->errno == -EINTR ? "restart" : "error") :
			__print_symbolic(__entry->reason, KVM_EXIT_REASONS),
		  __entry->errno < 0 ? -__entry->errno : __entry->reason)
);

TRACE_EVENT(kvm_enter_smm,
	TP_PROTO(unsigned int vcpu_id, u64 smbase, bool entering),
	TP_ARGS(vcpu_id, smbase, entering),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id) __field(u64, smbase) __field(bool, entering)
	),
	TP_fast_assign(
		SET(vcpu_id); SET(smbase); SET(entering);
	),
	TP_printk("vcpu %u: %s SMM, smbase 0x%llx", __entry->vcpu_id,
		  __entry->entering ? "entering" : "leaving", __entry->smbase)
);

#endif /* VITRO_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

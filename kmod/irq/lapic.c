// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC's registers: as a page of memory (xAPIC), as MSRs (x2APIC),
 * as a whole (KVM_GET_LAPIC, KVM_SET_LAPIC), after reset.
 *
 * SDM 3A "Local APIC", "Extended XAPIC (x2APIC)".
 */
#include <asm/msr-index.h>
#include "../cpuid.h"
#include "lapic.h"

/* SDM 3A "Local APIC Version Register": version 0x14, six LVT entries */
#define LAPIC_VERSION		0x14
#define LAPIC_NR_LVT		6
#define LAPIC_MAX_LVT_SHIFT	16

#define APIC_REG_STRIDE		16
/* x2APIC: register at offset 16n is MSR 0x800 + n */
#define X2APIC_REG(msr)		(((msr) - APIC_BASE_MSR) * APIC_REG_STRIDE)
#define X2APIC_LDR(id)		(((id) >> 4) << 16 | 1u << ((id) & 0xf))

#define REG_NR(reg)		((reg) / APIC_REG_STRIDE)

/* Sets of registers, a bit for each. SDM 3A Tables "Local APIC Register Address Map", "x2APIC". */
#define REG(reg)		BIT_ULL(REG_NR(reg))
#define REG_BITMAP(reg)		(GENMASK_ULL(APIC_ISR_NR - 1, 0) << REG_NR(reg))
#define REGS_LVT		(GENMASK_ULL(LAPIC_NR_LVT - 1, 0) << REG_NR(APIC_LVTT))
#define REGS_RW			(REG(APIC_TASKPRI) | REG(APIC_SPIV) | REG(APIC_ESR) |	\
				 REG(APIC_ICR) | REGS_LVT | REG(APIC_TMICT) | REG(APIC_TDCR))
#define REGS_READ_X2APIC	(REGS_RW | REG(APIC_ID) | REG(APIC_LVR) | REG(APIC_PROCPRI) | \
				 REG(APIC_LDR) | REG_BITMAP(APIC_ISR) |			\
				 REG_BITMAP(APIC_TMR) | REG_BITMAP(APIC_IRR) | REG(APIC_TMCCT))
#define REGS_WRITE_X2APIC	(REGS_RW | REG(APIC_EOI) | REG(APIC_SELF_IPI))
#define REGS_XAPIC		(REGS_READ_X2APIC | REG(APIC_ARBPRI) | REG(APIC_EOI) |	\
				 REG(APIC_RRR) | REG(APIC_DFR) | REG(APIC_ICR2))

/* What the low half of the ICR holds; delivery status is read-only. */
#define ICR_WRITABLE		(APIC_VECTOR_MASK | APIC_MODE_MASK | APIC_DEST_LOGICAL |	\
				 APIC_INT_ASSERT | APIC_INT_LEVELTRIG | APIC_SHORTHAND)
#define LVT_COMMON		(APIC_VECTOR_MASK | APIC_LVT_MASKED)
#define LVT_LINT		(LVT_COMMON | APIC_MODE_MASK | APIC_INPUT_POLARITY | \
				 APIC_LVT_LEVEL_TRIGGER)
/* Delivery status, in the ICR too, and remote IRR: read-only, and no fault */
#define READ_ONLY_BITS		(APIC_SEND_PENDING | APIC_LVT_REMOTE_IRR)
#define ID_FIELD		SET_XAPIC_DEST_FIELD(XAPIC_BROADCAST)

static bool reg_in(u64 set, unsigned int reg)
{
	return reg <= APIC_SELF_IPI && set & REG(reg);
}

/* Directed EOI needs an I/O APIC with an EOI register; ours, version 0x11, has none. */
static bool lapic_has_directed_eoi(const struct lapic *apic)
{
	return !apic->vcpu->vm->ioapic && vcpu_has(apic->vcpu, CAP_X2APIC);
}

static u32 lapic_version(const struct lapic *apic)
{
	return LAPIC_VERSION | (LAPIC_NR_LVT - 1) << LAPIC_MAX_LVT_SHIFT |
	       (lapic_has_directed_eoi(apic) ? APIC_LVR_DIRECTED_EOI : 0);
}

/* The bits of a register that software may set; x2APIC faults on the others. */
static const u32 writable_bits[] = {
	[REG_NR(APIC_ID)]		= ID_FIELD,
	[REG_NR(APIC_TASKPRI)]	= APIC_VECTOR_MASK,
	[REG_NR(APIC_LDR)]		= ID_FIELD,
	[REG_NR(APIC_DFR)]		= ~(u32)APIC_DFR_CLUSTER,
	[REG_NR(APIC_SPIV)]		= APIC_VECTOR_MASK | APIC_SPIV_APIC_ENABLED |
				  APIC_SPIV_FOCUS_DISABLED | APIC_SPIV_DIRECTED_EOI,
	[REG_NR(APIC_ICR)]		= ICR_WRITABLE,	/* x2APIC; see lapic_mmio_write() */
	[REG_NR(APIC_ICR2)]		= ID_FIELD,
	[REG_NR(APIC_LVTT)]		= LVT_COMMON | APIC_LVT_TIMER_PERIODIC |
				  APIC_LVT_TIMER_TSCDEADLINE,
	[REG_NR(APIC_LVTTHMR)]	= LVT_COMMON | APIC_MODE_MASK,
	[REG_NR(APIC_LVTPC)]	= LVT_COMMON | APIC_MODE_MASK,
	[REG_NR(APIC_LVT0)]		= LVT_LINT,
	[REG_NR(APIC_LVT1)]		= LVT_LINT,
	[REG_NR(APIC_LVTERR)]	= LVT_COMMON,
	[REG_NR(APIC_TMICT)]	= ~0u,
	[REG_NR(APIC_TDCR)]		= APIC_TDR_DIV_1,
	[REG_NR(APIC_SELF_IPI)]	= APIC_VECTOR_MASK,
};

/* @reg: up to APIC_SELF_IPI */
static u32 reg_writable(const struct lapic *apic, unsigned int reg)
{
	u32 bits = writable_bits[REG_NR(reg)];

	if (reg == APIC_SPIV && !lapic_has_directed_eoi(apic))
		bits &= ~APIC_SPIV_DIRECTED_EOI;
	if (reg == APIC_LVTT && !vcpu_has(apic->vcpu, CAP_TSC_DEADLINE))
		bits &= ~APIC_LVT_TIMER_TSCDEADLINE;
	return bits;
}

/**
 * lapic_error() - an error the guest may read in the ESR
 * @apic: any vCPU's
 * @esr_bit: APIC_ESR_*
 *
 * SDM 3A "Error Handling".  The LVT entry fires once per kind of error until
 * the ESR is written.  Any context.
 */
void lapic_error(struct lapic *apic, u32 esr_bit)
{
	if (!test_and_set_bit(__ffs(esr_bit), &apic->errors))
		lapic_local_deliver(apic->vcpu, APIC_LVTERR);
}

/* Its destination is in the ICR's other half. */
static void lapic_send_ipi(struct lapic *apic, u32 icr)
{
	bool x2apic = lapic_x2apic(apic);
	u32 icr2 = lapic_get(apic, APIC_ICR2);
	u32 dest = x2apic ? icr2 : GET_XAPIC_DEST_FIELD(icr2);
	u32 delivery = icr & APIC_MODE_MASK;

	if (delivery <= APIC_DM_LOWEST && unlikely((icr & APIC_VECTOR_MASK) < APIC_FIRST_VECTOR)) {
		lapic_error(apic, APIC_ESR_SENDILL);
		return;
	}
	/*
	 * SDM 3A Figure "Interrupt Command Register (ICR)": only INIT has a
	 * trigger mode, and its level de-assert does nothing.
	 */
	if (delivery == APIC_DM_INIT && icr & APIC_INT_LEVELTRIG && !(icr & APIC_INT_ASSERT))
		return;
	icr &= ~APIC_INT_LEVELTRIG;
	if (!(icr & APIC_SHORTHAND) && dest == (x2apic ? X2APIC_BROADCAST : XAPIC_BROADCAST))
		icr |= APIC_DEST_ALLINC;
	lapic_deliver(apic->vcpu->vm, apic->vcpu, dest, icr);
}

/* Software disabled: "the mask bits for all the LVT entries are set". */
static void lapic_mask_lvts(struct lapic *apic)
{
	unsigned int reg;

	for (reg = APIC_LVTT; reg <= APIC_LVTERR; reg += APIC_REG_STRIDE)
		lapic_set(apic, reg, lapic_get(apic, reg) | APIC_LVT_MASKED);
}

static void lapic_write_lvt(struct lapic *apic, unsigned int reg, u32 val)
{
	if (!lapic_sw_enabled(apic))
		val |= APIC_LVT_MASKED;
	if (reg == APIC_LVTT)
		lapic_timer_set_mode(apic, val);
	lapic_set(apic, reg, val);
	/* The PIC may be waiting behind it. */
	if (reg == APIC_LVT0)
		vcpu_request(apic->vcpu, REQ_EVENT);
}

/* An id that is not the vCPU's own: find it by asking from now on. */
static void lapic_write_id(struct lapic *apic, u32 val)
{
	lapic_set(apic, APIC_ID, val);
	if (lapic_id(apic) != apic->vcpu->id)
		WRITE_ONCE(apic->vcpu->vm->apic_ids_moved, true);
}

/* @val has only bits that the register has; read-only registers stay as they are. */
static void lapic_write_reg(struct lapic *apic, unsigned int reg, u32 val)
{
	switch (reg) {
	case APIC_EOI:
		lapic_eoi(apic);
		break;
	case APIC_TASKPRI:
		lapic_set_tpr(apic, val);
		break;
	case APIC_ICR:
		lapic_set(apic, APIC_ICR, val);
		lapic_send_ipi(apic, val);
		break;
	case APIC_SELF_IPI:
		lapic_send_ipi(apic, val | APIC_DEST_SELF);
		break;
	case APIC_ID:
		lapic_write_id(apic, val);
		break;
	case APIC_LDR:
	case APIC_ICR2:
		lapic_set(apic, reg, val);
		break;
	case APIC_DFR:
		lapic_set(apic, reg, val | APIC_DFR_CLUSTER);
		break;
	case APIC_SPIV:
		lapic_set(apic, APIC_SPIV, val);
		if (!lapic_sw_enabled(apic))
			lapic_mask_lvts(apic);
		break;
	case APIC_ESR:
		/* What was found since the last write can be read now. */
		lapic_set(apic, APIC_ESR, xchg(&apic->errors, 0));
		break;
	case APIC_TMICT:
		lapic_timer_set_initial(apic, val);
		break;
	case APIC_TDCR:
		lapic_timer_set_divider(apic, val);
		break;
	default:
		if (reg_in(REGS_LVT, reg))
			lapic_write_lvt(apic, reg, val);
	}
}

static u32 lapic_read_reg(struct lapic *apic, unsigned int reg)
{
	switch (reg) {
	case APIC_LVR: return lapic_version(apic);
	case APIC_TMCCT: return lapic_timer_count(apic);
	default: return lapic_get(apic, reg);
	}
}

static bool lapic_is_hole(const struct lapic *apic)
{
	return !lapic_hw_enabled(apic) || lapic_x2apic(apic);
}

/**
 * lapic_mmio_read() - read from the APIC page
 * @vcpu: this vCPU; lapic_mmio_hit()
 * @gpa: address
 * @data: filled
 * @len: 1, 2, 4 or 8 bytes; SDM 3A "Local APIC Register Address Map" asks for
 *	aligned accesses of 32 bits.  Within the 32 bits of a register shorter
 *	ones are served, what lies beyond reads as 0.
 *
 * Return: 0.
 */
int lapic_mmio_read(struct vcpu *vcpu, gpa_t gpa, void *data, unsigned int len)
{
	struct lapic *apic = vcpu->lapic;
	unsigned int offset = offset_in_page(gpa);
	unsigned int reg = round_down(offset, APIC_REG_STRIDE);
	u64 val[3] = {};	/* 16 bytes of a register, and an access beyond */

	memset(data, lapic_is_hole(apic) ? 0xff : 0, len);
	if (lapic_is_hole(apic))
		return 0;
	if (reg_in(REGS_XAPIC, reg))
		val[0] = lapic_read_reg(apic, reg);
	else
		lapic_error(apic, APIC_ESR_ILLREGA);
	memcpy(data, (u8 *)val + offset % APIC_REG_STRIDE, min_t(unsigned int, len, 8));
	return 0;
}

/**
 * lapic_mmio_write() - write to the APIC page
 * @vcpu: this vCPU; lapic_mmio_hit(); may sleep
 * @gpa: address
 * @data: what
 * @len: bytes; other than aligned writes of 4 are dropped
 *
 * Return: 0.
 */
int lapic_mmio_write(struct vcpu *vcpu, gpa_t gpa, const void *data, unsigned int len)
{
	struct lapic *apic = vcpu->lapic;
	unsigned int reg = offset_in_page(gpa);

	if (len != sizeof(u32) || reg % APIC_REG_STRIDE || lapic_is_hole(apic))
		return 0;
	if (likely(reg == APIC_EOI))
		lapic_eoi(apic);
	else if (reg == APIC_ICR)	/* as stock KVM: its reserved bits read as written */
		lapic_write_reg(apic, reg, *(const u32 *)data & ~APIC_SEND_PENDING);
	else if (reg_in(REGS_XAPIC, reg))
		lapic_write_reg(apic, reg, *(const u32 *)data & reg_writable(apic, reg));
	else
		lapic_error(apic, APIC_ESR_ILLREGA);
	return 0;
}

/**
 * lapic_msr_read() - RDMSR of an x2APIC register
 * @vcpu: under its mutex
 * @msr: 0x800 to 0x8ff
 * @val: filled
 *
 * Return: 0, or 1 for #GP.
 */
int lapic_msr_read(struct vcpu *vcpu, u32 msr, u64 *val)
{
	struct lapic *apic = vcpu->lapic;
	unsigned int reg = X2APIC_REG(msr);

	if (!apic || !lapic_x2apic(apic) || !reg_in(REGS_READ_X2APIC, reg))
		return 1;
	*val = lapic_read_reg(apic, reg);
	if (reg == APIC_ICR)
		*val |= (u64)lapic_get(apic, APIC_ICR2) << 32;
	return 0;
}

/**
 * lapic_msr_write() - WRMSR of an x2APIC register
 * @vcpu: under its mutex; may sleep
 * @msr: 0x800 to 0x8ff
 * @val: value
 *
 * SDM 3A "x2APIC Register Address Space", "Reserved Bit Checking".
 *
 * Return: 0, or 1 for #GP.
 */
int lapic_msr_write(struct vcpu *vcpu, u32 msr, u64 val)
{
	struct lapic *apic = vcpu->lapic;
	unsigned int reg = X2APIC_REG(msr);
	u32 high = upper_32_bits(val), low = val, allowed;

	if (!apic || !lapic_x2apic(apic) || !reg_in(REGS_WRITE_X2APIC, reg))
		return 1;
	allowed = reg_writable(apic, reg);
	if (reg_in(REGS_LVT | REG(APIC_ICR), reg))
		low &= allowed | ~READ_ONLY_BITS;
	if (low & ~allowed || (high && reg != APIC_ICR))
		return 1;
	if (reg == APIC_ICR)
		lapic_set(apic, APIC_ICR2, high);
	lapic_write_reg(apic, reg, low);
	return 0;
}

/* In place of all registers: SDM 3A "Local APIC State After Power-Up or Reset", "... an INIT Reset" */
static void lapic_reset_regs(struct lapic *apic)
{
	struct vcpu *vcpu = apic->vcpu;
	u32 id = lapic_get(apic, APIC_ID);

	lapic_timer_stop(apic);
	memset(apic->regs, 0, APIC_SELF_IPI + APIC_REG_STRIDE);
	lapic_set(apic, APIC_ID, id);
	lapic_set(apic, APIC_DFR, APIC_DFR_FLAT);
	lapic_set(apic, APIC_SPIV, APIC_VECTOR_MASK);
	lapic_mask_lvts(apic);
	/* What firmware does; VMMs without one rely on it. */
	if (vcpu_is_bsp(vcpu) && !(vcpu->vm->disabled_quirks & KVM_X86_QUIRK_LINT0_REENABLED))
		lapic_set(apic, APIC_LVT0, APIC_DM_EXTINT);
	if (lapic_x2apic(apic))
		lapic_set(apic, APIC_LDR, X2APIC_LDR(vcpu->id));
	apic->errors = 0;
	lapic_rescan(apic);
}

/**
 * lapic_reset() - RESET or INIT
 * @vcpu: under its mutex, or new
 * @init: INIT: id, mode, base address and what waits to be accepted stay
 */
void lapic_reset(struct vcpu *vcpu, bool init)
{
	struct lapic *apic = vcpu->lapic;

	vcpu->pv_eoi_msr = 0;
	if (!init)
		vcpu->apic_base = APIC_DEFAULT_PHYS_BASE | XAPIC_ENABLE |
				  (vcpu_is_bsp(vcpu) ? MSR_IA32_APICBASE_BSP : 0);
	if (!apic)
		return;
	apic->pv_eoi_set = false;
	if (!init) {
		vcpu->apic_events = 0;
		apic->user_extint = -1;
		lapic_set(apic, APIC_ID, SET_XAPIC_DEST_FIELD(vcpu->id));
	}
	lapic_reset_regs(apic);
}

/**
 * lapic_set_base() - write IA32_APIC_BASE
 * @vcpu: under its mutex, with or without a local APIC; may sleep
 * @val: base address, XAPIC_ENABLE, X2APIC_ENABLE, BSP
 * @host: by user space: any valid mode from any other
 *
 * SDM 3A Figure "Local x2APIC State Transitions with IA32_APIC_BASE, INIT,
 * and Reset": the guest goes from disabled to xAPIC to x2APIC, and from both
 * to disabled.
 *
 * Return: 0, or 1 for #GP.
 */
int lapic_set_base(struct vcpu *vcpu, u64 val, bool host)
{
	const u64 x2apic = XAPIC_ENABLE | X2APIC_ENABLE;
	u64 from = vcpu->apic_base & x2apic, to = val & x2apic;
	u64 address = GENMASK_ULL(vcpu->maxphyaddr - 1, PAGE_SHIFT);

	if (val & ~(address | x2apic | MSR_IA32_APICBASE_BSP))
		return 1;
	if (to == X2APIC_ENABLE || (to == x2apic && !vcpu_has(vcpu, CAP_X2APIC)))
		return 1;
	if (!host && ((from == x2apic && to == XAPIC_ENABLE) || (!from && to == x2apic)))
		return 1;

	WRITE_ONCE(vcpu->apic_base, val);
	if (from == to)
		return 0;
	cpuid_refresh(vcpu);
	if (!vcpu->lapic)
		return 0;
	vcpu_request(vcpu, REQ_EVENT);	/* the PIC may be waiting behind LINT0 */
	/* Disabled, it lost its state. */
	if (!host && !from) {
		lapic_set(vcpu->lapic, APIC_ID, SET_XAPIC_DEST_FIELD(vcpu->id));
		lapic_reset_regs(vcpu->lapic);
	}
	if (to == x2apic) {
		lapic_set(vcpu->lapic, APIC_ID, vcpu->id);
		lapic_set(vcpu->lapic, APIC_LDR, X2APIC_LDR(vcpu->id));
	} else if (from == x2apic) {
		lapic_set(vcpu->lapic, APIC_ID, SET_XAPIC_DEST_FIELD(vcpu->id));
	}
	return 0;
}

/* KVM_CAP_X2APIC_API: without it an x2APIC id has eight bits, where xAPIC has them. */
static bool lapic_wide_ids(const struct vcpu *vcpu)
{
	return vcpu->vm->x2apic_api & KVM_X2APIC_API_USE_32BIT_IDS;
}

/**
 * lapic_get_state() - KVM_GET_LAPIC
 * @vcpu: under its mutex
 * @state: filled
 *
 * Return: 0; -EINVAL without a local APIC.
 */
int lapic_get_state(struct vcpu *vcpu, struct kvm_lapic_state *state)
{
	struct lapic *apic = vcpu->lapic;
	u32 *id = (u32 *)(state->regs + APIC_ID);

	if (!apic)
		return -EINVAL;
	memcpy(state->regs, apic->regs, sizeof(state->regs));
	*(u32 *)(state->regs + APIC_LVR) = lapic_version(apic);
	*(u32 *)(state->regs + APIC_TMCCT) = lapic_timer_count(apic);
	if (lapic_x2apic(apic) && !lapic_wide_ids(vcpu))
		*id = SET_XAPIC_DEST_FIELD(*id);
	return 0;
}

/* What user space supplied, made what hardware could hold. */
static void lapic_sanitize(struct lapic *apic)
{
	unsigned int reg;

	for (reg = APIC_TASKPRI; reg <= APIC_LVTERR; reg += APIC_REG_STRIDE)
		if (reg_in(REG(APIC_TASKPRI) | REG(APIC_SPIV) | REGS_LVT, reg))
			lapic_set(apic, reg, lapic_get(apic, reg) & reg_writable(apic, reg));
	lapic_write_id(apic, lapic_x2apic(apic) ? apic->vcpu->id : lapic_get(apic, APIC_ID));
	if (lapic_x2apic(apic))
		lapic_set(apic, APIC_LDR, X2APIC_LDR(apic->vcpu->id));
}

/**
 * lapic_set_state() - KVM_SET_LAPIC
 * @vcpu: under its mutex; may sleep
 * @state: as lapic_get_state() gave it
 *
 * The mode is IA32_APIC_BASE's, not in @state.
 *
 * Return: 0; -EINVAL without a local APIC, or with a 32-bit id that is not the vCPU's.
 */
int lapic_set_state(struct vcpu *vcpu, const struct kvm_lapic_state *state)
{
	struct lapic *apic = vcpu->lapic;

	if (!apic || (lapic_x2apic(apic) && lapic_wide_ids(vcpu) &&
		      *(const u32 *)(state->regs + APIC_ID) != vcpu->id))
		return -EINVAL;
	hrtimer_cancel(&apic->timer);	/* its deadline stays */
	memcpy(apic->regs, state->regs, sizeof(state->regs));
	lapic_sanitize(apic);
	lapic_rescan(apic);
	lapic_timer_resume(apic);
	return 0;
}

static struct kmem_cache *lapic_cache;	/* of just that size, as struct vm's */

/**
 * lapic_module_init() - the module is loaded
 *
 * Return: 0 or -ENOMEM.
 */
int lapic_module_init(void)
{
	lapic_cache = kmem_cache_create("kvm_lapic", sizeof(struct lapic),
					__alignof__(struct lapic), SLAB_ACCOUNT, NULL);
	return lapic_cache ? 0 : -ENOMEM;
}

/**
 * lapic_module_exit() - the module goes; no vCPU is left
 */
void lapic_module_exit(void)
{
	kmem_cache_destroy(lapic_cache);
}

/**
 * lapic_create() - give a new vCPU a local APIC
 * @vcpu: new; lapic_reset() follows
 *
 * Return: 0 or -ENOMEM.
 */
int lapic_create(struct vcpu *vcpu)
{
	struct lapic *apic = kmem_cache_zalloc(lapic_cache, GFP_KERNEL_ACCOUNT);

	if (!apic)
		return -ENOMEM;
	apic->vcpu = vcpu;
	lapic_timer_init(apic);
	vcpu->lapic = apic;
	return 0;
}

/**
 * lapic_destroy() - the vCPU ends
 * @vcpu: with or without a local APIC; nobody sends to it any more
 */
void lapic_destroy(struct vcpu *vcpu)
{
	struct lapic *apic = vcpu->lapic;

	if (!apic)
		return;
	hrtimer_cancel(&apic->timer);
	kmem_cache_free(lapic_cache, apic);
}

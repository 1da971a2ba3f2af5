// SPDX-License-Identifier: GPL-2.0
/*
 * The host's CPU as far as KVM supports it, with the guest's own topology: one
 * package, a core a vCPU, one thread a core, the last level cache shared.
 *
 * NOTDONE: frequency leaves (15H, 16H, 40000010H); guests take the TSC's
 * frequency from kvmclock, and their APIC timer from the TSC deadline.
 */
#include <stdlib.h>

#include "cpuid.h"

/* SDM 2A "CPUID", APM 3 "Obtaining Processor Information Via the CPUID Instruction" */
enum {
	LEAF_VENDOR = 0,
	LEAF_FEATURES = 1,
	LEAF_CACHES = 4,
	LEAF_TOPOLOGY = 0xb,
	LEAF_TOPOLOGY_V2 = 0x1f,
	LEAF_AMD_FEATURES = 0x80000001,
	LEAF_AMD_SIZES = 0x80000008,
	LEAF_AMD_CACHES = 0x8000001d,
	LEAF_AMD_TOPOLOGY = 0x8000001e,

	VENDOR_EBX_AMD = 0x68747541,	/* "Auth" */
	VENDOR_EBX_HYGON = 0x6f677948,	/* "Hygo" */

	FEATURES_EBX_IDS_SHIFT = 16, FEATURES_EBX_ID_SHIFT = 24,
	FEATURES_ECX_TSC_DEADLINE = 1 << 24,
	FEATURES_ECX_HYPERVISOR = 1U << 31,
	FEATURES_EDX_HTT = 1 << 28,

	CACHE_TYPE = 0x1f, CACHE_LEVEL_SHIFT = 5, CACHE_LEVEL_MASK = 7,
	CACHE_SHARING_SHIFT = 14, CACHE_SHARING_MASK = 0xfff,
	CACHE_CORES_SHIFT = 26, CACHE_CORES_MASK = 0x3f,
	LAST_LEVEL = 3,

	TOPOLOGY_THREADS = 1, TOPOLOGY_CORES = 2, TOPOLOGY_TYPE_SHIFT = 8,
	TOPOLOGY_LEVELS = 3,		/* threads, cores, and the end of the list */

	AMD_ECX_CMP_LEGACY = 1 << 1,
	AMD_SIZES_ID_BITS_SHIFT = 12,
};

/* Bits of an APIC id that number the cores. */
static unsigned int id_bits(unsigned int cpus)
{
	unsigned int bits = 0;

	while (1U << bits < cpus)
		bits++;
	return bits;
}

static void set_caches(struct kvm_cpuid_entry2 *e, unsigned int cpus)
{
	unsigned int level = e->eax >> CACHE_LEVEL_SHIFT & CACHE_LEVEL_MASK;
	unsigned int sharing = level >= LAST_LEVEL ? (1U << id_bits(cpus)) - 1 : 0;

	if (!(e->eax & CACHE_TYPE))
		return;
	e->eax &= ~(CACHE_SHARING_MASK << CACHE_SHARING_SHIFT);
	e->eax |= sharing << CACHE_SHARING_SHIFT;
}

/* Intel's leaf also tells the number of cores, up to 64. */
static void set_intel_cores(struct kvm_cpuid_entry2 *e, unsigned int cpus)
{
	u32 cores = min_u64((1U << id_bits(cpus)) - 1, CACHE_CORES_MASK);

	if (e->eax & CACHE_TYPE)
		e->eax = (e->eax & ~((u32)CACHE_CORES_MASK << CACHE_CORES_SHIFT)) |
			 cores << CACHE_CORES_SHIFT;
}

static void set_features(struct kvm_cpuid_entry2 *e, unsigned int cpus, bool tsc_deadline)
{
	u32 ids = min_u64(1U << id_bits(cpus), 0xff);

	e->ebx = (e->ebx & 0xffff) | ids << FEATURES_EBX_IDS_SHIFT;
	e->ecx |= FEATURES_ECX_HYPERVISOR;
	if (tsc_deadline)
		e->ecx |= FEATURES_ECX_TSC_DEADLINE;
	if (cpus > 1)
		e->edx |= FEATURES_EDX_HTT;
}

static void set_leaf(struct kvm_cpuid_entry2 *e, unsigned int cpus, bool amd, bool tsc_deadline)
{
	switch (e->function) {
	case LEAF_VENDOR:
		e->eax = max_u64(e->eax, LEAF_TOPOLOGY);
		break;
	case LEAF_FEATURES:
		set_features(e, cpus, tsc_deadline);
		break;
	case LEAF_CACHES:
		set_caches(e, cpus);
		set_intel_cores(e, cpus);
		break;
	case LEAF_AMD_CACHES:
		set_caches(e, cpus);
		break;
	case LEAF_AMD_FEATURES:
		if (amd && cpus > 1)
			e->ecx |= AMD_ECX_CMP_LEGACY;
		break;
	case LEAF_AMD_SIZES:
		if (amd)
			e->ecx = (cpus - 1) | id_bits(cpus) << AMD_SIZES_ID_BITS_SHIFT;
		break;
	case LEAF_AMD_TOPOLOGY:
		e->ecx = 0;		/* one node in this package, and it is the first */
		break;
	}
}

/* Leaf 0BH: a thread a core, then the cores of the package. */
static void add_topology(struct kvm_cpuid2 *cpuid, unsigned int cpus)
{
	static const u32 type[TOPOLOGY_LEVELS] = { TOPOLOGY_THREADS, TOPOLOGY_CORES, 0 };
	const u32 shift[TOPOLOGY_LEVELS] = { 0, id_bits(cpus), 0 };
	const u32 number[TOPOLOGY_LEVELS] = { 1, cpus, 0 };

	for (unsigned int i = 0; i < TOPOLOGY_LEVELS; i++)
		cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
			.function = LEAF_TOPOLOGY,
			.index = i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = shift[i],
			.ebx = number[i],
			.ecx = i | type[i] << TOPOLOGY_TYPE_SHIFT,
		};
}

/**
 * cpuid_prepare() - the table for all vCPUs of a machine.
 * @kvm: KVM.
 * @cpus: vCPUs.
 *
 * Return: the table, to be freed; cpuid_set_id() makes it one vCPU's.
 */
struct kvm_cpuid2 *cpuid_prepare(const struct kvm *kvm, unsigned int cpus)
{
	struct kvm_cpuid2 *host = kvm_supported_cpuid(kvm);
	struct kvm_cpuid2 *guest = xalloc(sizeof(*guest) +
		(host->nent + TOPOLOGY_LEVELS) * sizeof(guest->entries[0]));
	bool amd = host->entries[0].ebx == VENDOR_EBX_AMD ||
		   host->entries[0].ebx == VENDOR_EBX_HYGON;

	for (unsigned int i = 0; i < host->nent; i++) {
		struct kvm_cpuid_entry2 *e = &host->entries[i];

		/* The host's topology is not the guest's. */
		if (e->function == LEAF_TOPOLOGY || e->function == LEAF_TOPOLOGY_V2)
			continue;
		set_leaf(e, cpus, amd, kvm->tsc_deadline);
		guest->entries[guest->nent++] = *e;
	}
	add_topology(guest, cpus);
	free(host);
	return guest;
}

/**
 * cpuid_set_id() - put a vCPU's APIC id into the table.
 * @cpuid: from cpuid_prepare().
 * @id: APIC id.
 */
void cpuid_set_id(struct kvm_cpuid2 *cpuid, unsigned int id)
{
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		switch (e->function) {
		case LEAF_FEATURES:
			e->ebx = (e->ebx & 0xffffff) | id << FEATURES_EBX_ID_SHIFT;
			break;
		case LEAF_TOPOLOGY:
			e->edx = id;
			break;
		case LEAF_AMD_TOPOLOGY:
			e->eax = id;
			e->ebx = id & 0xff;	/* core id, one thread a core */
			break;
		}
	}
}

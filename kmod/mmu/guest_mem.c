// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory as the kernel sees it: through the process's own mapping, so
 * that paging, copy on write and the mmu notifier work as for any access of
 * the process.  The hvas of a slot were checked when it was made.
 */
#include <linux/cache.h>
#include "memslot.h"

static void __user *guest_ptr(const struct memslot *slot, gpa_t gpa)
{
	return (void __user *)(memslot_hva(slot, gpa >> PAGE_SHIFT) + offset_in_page(gpa));
}

/* Inlined once for each direction. */
static __always_inline int guest_copy(struct vcpu *vcpu, struct memspace *space, gpa_t gpa,
				      void *data, unsigned long len, bool write)
{
	while (len) {
		const struct memslot *slot = memslot_find(space, gpa >> PAGE_SHIFT);
		unsigned long n;
		gfn_t gfn;

		if (!slot)
			return -EFAULT;
		if (write && slot->flags & KVM_MEM_READONLY)
			return -EROFS;
		n = min_t(u64, len, ((slot->gfn + slot->npages) << PAGE_SHIFT) - gpa);
		if (write ? __copy_to_user(guest_ptr(slot, gpa), data, n) :
			    __copy_from_user(data, guest_ptr(slot, gpa), n))
			return -EFAULT;
		/* After the write: a log that is read in between has the page next time. */
		for (gfn = gpa >> PAGE_SHIFT; write && gfn <= (gpa + n - 1) >> PAGE_SHIFT; gfn++)
			memslot_mark_dirty(vcpu, slot, gfn);
		gpa += n;
		data += n;
		len -= n;
	}
	return 0;
}

int memspace_read(struct vcpu *vcpu, struct memspace *space, gpa_t gpa, void *data,
		  unsigned long len)
{
	return guest_copy(vcpu, space, gpa, data, len, false);
}

int memspace_write(struct vcpu *vcpu, struct memspace *space, gpa_t gpa, const void *data,
		   unsigned long len)
{
	return guest_copy(vcpu, space, gpa, (void *)data, len, true);
}

/* ---- compare and exchange ---- */

#define guest_try_cmpxchg(type, ptr, old, new) \
	__try_cmpxchg_user((type __user *)(ptr), (type *)(old), *(const type *)(new), fault_##type)

/* @ptr such that the lock stays in one cache line. */
static int guest_cmpxchg_user(void __user *ptr, void *old, const void *new, unsigned int len)
{
	switch (len) {
	case 1: return guest_try_cmpxchg(u8, ptr, old, new);
	case 2: return guest_try_cmpxchg(u16, ptr, old, new);
	case 4: return guest_try_cmpxchg(u32, ptr, old, new);
	default: return guest_try_cmpxchg(u64, ptr, old, new);
	}
}

/* Across two cache lines, and so perhaps two pages: a read and a write. */
static int guest_cmpxchg_split(struct vcpu *vcpu, struct memspace *space, gpa_t gpa, void *old,
			       const void *new, unsigned int len)
{
	u8 now[8];

	if (memspace_read(vcpu, space, gpa, now, len))
		return -EFAULT;
	if (memcmp(now, old, len)) {
		memcpy(old, now, len);
		return 1;
	}
	return memspace_write(vcpu, space, gpa, new, len);
}

int memspace_cmpxchg(struct vcpu *vcpu, struct memspace *space, gpa_t gpa, void *old,
		     const void *new, unsigned int len)
{
	const struct memslot *slot = memslot_find(space, gpa >> PAGE_SHIFT);
	int r;

	if (!slot)
		return -EIO;
	if (slot->flags & KVM_MEM_READONLY)
		return -EROFS;
	if (gpa % SMP_CACHE_BYTES + len > SMP_CACHE_BYTES)
		return guest_cmpxchg_split(vcpu, space, gpa, old, new, len);
	r = guest_cmpxchg_user(guest_ptr(slot, gpa), old, new, len);
	if (!r)
		memslot_mark_dirty(vcpu, slot, gpa >> PAGE_SHIFT);
	return r;
}

/* ---- the guest's page-table entries, for gwalk.c ---- */

noinline int gwalk_read_entry_slow(struct vcpu *vcpu, gpa_t gpa, u64 *entry, unsigned int size)
{
	const struct memslot *slot = memslot_find_near(vcpu, gpa >> PAGE_SHIFT);

	if (!slot)
		return -EFAULT;
	*entry = 0;	/* little endian: 4 bytes are its low half */
	return __copy_from_user(entry, guest_ptr(slot, gpa), size) ? -EFAULT : 0;
}

/* Every instruction that has to be fetched from guest memory comes here four times: all inline. */
int gwalk_read_entry(struct vcpu *vcpu, gpa_t gpa, u64 *entry)
{
	const struct memslot *slot;

	if (unlikely(!memslot_last_found(vcpu, gpa >> PAGE_SHIFT, &slot)))
		return gwalk_read_entry_slow(vcpu, gpa, entry, sizeof(*entry));
	/* Does not need memslot_hva(): __get_user() lets no guess of the CPU pass. */
	return __get_user(*entry, (u64 __user *)(gpa + slot->gpa_to_hva));
}

int gwalk_cmpxchg_entry(struct vcpu *vcpu, gpa_t gpa, u64 old, u64 new, unsigned int size)
{
	return guest_cmpxchg(vcpu, gpa, &old, &new, size);
}

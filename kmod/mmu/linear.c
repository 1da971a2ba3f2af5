// SPDX-License-Identifier: GPL-2.0
/* Guest memory by linear address: descriptor tables, task-state segments, stacks. */
#include "../vcpu.h"
#include "memslot.h"

static int linear_translate(struct vcpu *vcpu, gva_t gva, int access, gpa_t *gpa)
{
	struct gwalk_result res;
	int r = gwalk(vcpu, &vcpu->walk, vcpu->cr3, vcpu->pkru, gva, access, &res);

	*gpa = res.gpa;
	if (r != -EFAULT)
		return r;
	vcpu_queue_page_fault(vcpu, gva, res.error_code);
	return 1;
}

/* Both pages are translated before the first is touched. */
static int linear_copy(struct vcpu *vcpu, gva_t gva, void *data, unsigned int len, int access)
{
	unsigned int first = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gva));
	unsigned int i, n[] = { first, len - first };
	gpa_t gpa[2];
	int r = linear_translate(vcpu, gva, access, &gpa[0]);

	if (!r && first < len)
		r = linear_translate(vcpu, gva + first, access, &gpa[1]);
	if (r)
		return r < 0 ? -EFAULT : r;
	for (i = 0; !r && i < 2 && n[i]; data += n[i++])
		r = access & GWALK_WRITE ? guest_write(vcpu, gpa[i], data, n[i]) :
					   guest_read(vcpu, gpa[i], data, n[i]);
	return r ? -EFAULT : 0;
}

/**
 * linear_read() - read guest memory at a linear address
 * @vcpu: under its mutex
 * @gva: where
 * @data: filled
 * @len: in bytes, a page at most
 * @access: GWALK_USER, GWALK_IMPLICIT and the like
 *
 * Return: 0, 1 with #PF queued, or -EFAULT where there is no RAM.
 */
int linear_read(struct vcpu *vcpu, gva_t gva, void *data, unsigned int len, int access)
{
	return linear_copy(vcpu, gva, data, len, access);
}

/**
 * linear_write() - write guest memory at a linear address
 * @vcpu: under its mutex
 * @gva: where
 * @data: what
 * @len: in bytes, a page at most
 * @access: as linear_read()'s
 *
 * Return: as linear_read(); nothing is written where a page fault is queued.
 */
int linear_write(struct vcpu *vcpu, gva_t gva, const void *data, unsigned int len, int access)
{
	return linear_copy(vcpu, gva, (void *)data, len, access | GWALK_WRITE);
}

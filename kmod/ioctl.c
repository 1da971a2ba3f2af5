// SPDX-License-Identifier: GPL-2.0
/* Copying what an ioctl gives and takes: one place for the VM's fd and the vCPU's. */
#include <linux/kvm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "ioctl.h"

/**
 * ioctl_with_payload() - copy the payload in, handle it, copy it out
 * @object: for @handle
 * @ioctl: _IOC_SIZE and _IOC_DIR say how much and which way
 * @user: the ioctl's argument
 * @handle: works on the copy
 *
 * Return: what @handle returned; -EFAULT, -ENOMEM; -ENOTTY before anything is
 * copied.
 */
long ioctl_with_payload(void *object, unsigned int ioctl, void __user *user, ioctl_handler handle)
{
	unsigned int size = _IOC_SIZE(ioctl), dir = _IOC_DIR(ioctl);
	long r = handle(object, ioctl, NULL);
	u64 few[8];		/* spares most an allocation */
	void *data = few;

	if (r)
		return r;
	/* One number of the ABI says that it gives, and takes. */
	if (ioctl == KVM_SET_IRQCHIP)
		dir = _IOC_WRITE;
	if (size > sizeof(few))
		data = kmalloc(size, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	memset(data, 0, size);
	r = dir & _IOC_WRITE && copy_from_user(data, user, size) ? -EFAULT : 0;
	r = r ?: handle(object, ioctl, data);
	if (r >= 0 && dir & _IOC_READ && copy_to_user(user, data, size))
		r = -EFAULT;
	if (data != few)
		kfree(data);
	return r;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics of a VM and of a vCPU as a file.
 * Documentation/virt/kvm/api.rst "KVM_GET_STATS_FD": a header, an id, a
 * descriptor each, and the numbers, at offsets that the header tells.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include "stats.h"
#include "vcpu.h"

enum { STATS_NAME = 48 };

/* The name is the descriptor's last member, with a size in newer kernels only. */
union stats_desc {
	struct kvm_stats_desc desc;
	char room[offsetof(struct kvm_stats_desc, name) + STATS_NAME];
};

static_assert(sizeof(union stats_desc) == offsetof(struct kvm_stats_desc, name) + STATS_NAME);

#define NAME(name) #name,
static const char *const vcpu_names[] = { VCPU_STATS(NAME) };
static const char *const vm_names[] = { VM_STATS(NAME) };
#undef NAME

static_assert(sizeof(struct vcpu_stats) == ARRAY_SIZE(vcpu_names) * sizeof(u64));
static_assert(sizeof(struct vm_stats) == ARRAY_SIZE(vm_names) * sizeof(u64));

/* The whole file is made anew for each read: it is small. */
static ssize_t stats_read(char __user *user, size_t len, loff_t *pos, const char *id,
			  const char *const *names, unsigned int nr, const u64 *data)
{
	struct kvm_stats_header *header __free(kfree) = NULL;
	union stats_desc *desc;
	unsigned int i;
	size_t size = sizeof(*header) + STATS_NAME + nr * (sizeof(*desc) + sizeof(*data));

	header = kzalloc(size, GFP_KERNEL);
	if (!header)
		return -ENOMEM;
	header->name_size = STATS_NAME;
	header->num_desc = nr;
	header->id_offset = sizeof(*header);
	header->desc_offset = header->id_offset + STATS_NAME;
	header->data_offset = header->desc_offset + nr * sizeof(*desc);
	strscpy((char *)header + header->id_offset, id, STATS_NAME);
	desc = (void *)header + header->desc_offset;
	for (i = 0; i < nr; i++) {
		desc[i].desc.flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE |
				     KVM_STATS_BASE_POW10;
		desc[i].desc.size = 1;
		desc[i].desc.offset = i * sizeof(*data);
		strscpy(desc[i].desc.name, names[i], STATS_NAME);
	}
	memcpy((void *)header + header->data_offset, data, nr * sizeof(*data));
	return simple_read_from_buffer(user, len, pos, header, size);
}

static ssize_t vm_stats_read(struct file *file, char __user *user, size_t len, loff_t *pos)
{
	struct vm *vm = file->private_data;
	char id[STATS_NAME];

	snprintf(id, sizeof(id), "kvm-%p", vm);
	return stats_read(user, len, pos, id, vm_names, ARRAY_SIZE(vm_names), (u64 *)&vm->stats);
}

static const struct file_operations vm_stats_fops = {
	.owner		= THIS_MODULE,
	.read		= vm_stats_read,
	.release	= vm_release,
	.llseek		= noop_llseek,
};

static ssize_t vcpu_stats_read(struct file *file, char __user *user, size_t len, loff_t *pos)
{
	struct vcpu *vcpu = file->private_data;
	char id[STATS_NAME];

	snprintf(id, sizeof(id), "kvm-%p/vcpu-%u", vcpu->vm, vcpu->id);
	return stats_read(user, len, pos, id, vcpu_names, ARRAY_SIZE(vcpu_names),
			  (u64 *)&vcpu->stats);
}

static const struct file_operations vcpu_stats_fops = {
	.owner		= THIS_MODULE,
	.read		= vcpu_stats_read,
	.release	= vcpu_release,
	.llseek		= noop_llseek,
};

/**
 * stats_fd() - KVM_GET_STATS_FD
 * @vm: whose; the file may outlive the fd it was asked of, for it keeps the VM
 * @vcpu: of the VM: its own statistics; or NULL
 *
 * Return: a file descriptor, -EMFILE, -ENOMEM.
 */
int stats_fd(struct vm *vm, struct vcpu *vcpu)
{
	struct file *file;
	int fd = get_unused_fd_flags(O_CLOEXEC);

	if (fd < 0)
		return fd;
	if (vcpu)
		file = anon_inode_getfile("kvm-vcpu-stats", &vcpu_stats_fops, vcpu, O_RDONLY);
	else
		file = anon_inode_getfile("kvm-vm-stats", &vm_stats_fops, vm, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_mode |= FMODE_PREAD;
	vm_get(vm);
	fd_install(fd, file);
	return fd;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* ioctls whose payload has a fixed size, which the number itself tells. */
#ifndef VITRO_IOCTL_H
#define VITRO_IOCTL_H

#include <linux/compiler.h>

/* -ENOTTY: not one of its ioctls.  With @data NULL it is only asked that, and answers 0 if it is. */
typedef int (*ioctl_handler)(void *object, unsigned int ioctl, void *data);

long ioctl_with_payload(void *object, unsigned int ioctl, void __user *user, ioctl_handler handle);

#endif /* VITRO_IOCTL_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests that tests copy to where they begin, by vm_load(): named pieces of
 * code in the test's image, which tell values through PORT_SYNC.
 */
#ifndef SELFTESTS_GUESTS_SNIPPET_H
#define SELFTESTS_GUESTS_SNIPPET_H
#ifdef __ASSEMBLER__

#define PORT_SYNC	0x708		/* as in lib/guest.h */

#define BEGIN(name)	.globl name, name##_end; name:
#define END(name)	name##_end:

	.macro tell			/* EAX */
	mov	$PORT_SYNC, %dx
	out	%eax, %dx
	.endm

#endif /* __ASSEMBLER__ */
#endif /* SELFTESTS_GUESTS_SNIPPET_H */

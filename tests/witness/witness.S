/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The witness: a boot sector that prints every CPUID leaf and sub-leaf on COM1, round after round.
 * What it prints is what a guest sees, so "same CPU" means that two rounds are byte for byte equal.
 *
 *     INVAR-WITNESS 1
 *     LLLLLLLL SSSSSSSS EAX EBX ECX EDX      (each eight hexadecimal digits)
 *     END
 *
 * Leaves: 0, 0x40000000 and 0x80000000 up to the highest that each names in its own EAX; a leaf
 * that names nonsense (0x40000000 outside a hypervisor) is printed alone. Sub-leaves: 0 always; 1 to
 * 63 where they say something: not all zero (but for ECX, where leaf 0xb echoes the sub-leaf asked
 * for), and not sub-leaf 0 once more, as leaves that ignore ECX do.
 *
 * Real mode, 486 and later. It leaves bytes 446 to 509 zero, where firmware looks for partitions.
 */
    .code16
    .text
    .globl _start

    .set COM1_PAGE, 0x03          /* high byte of 0x3f8..0x3ff */
    .set COM1_DATA, 0x3f8
    .set COM1_LINE_STATUS, 0x3fd
    .set TRANSMITTER_EMPTY, 0x20
    .set LAST_SUBLEAF, 63
    .set MOST_LEAVES, 0xff        /* of one range: more is not a maximum but something else */
    .set TICKS_BETWEEN_ROUNDS, 6  /* of 55 ms: a reader waits little, the host's disk fills slowly */
    .set line, 0x7e00             /* leaf, sub-leaf, EAX, EBX, ECX, EDX: just behind this sector */
    .set registers, line + 8
    .set first, registers + 16    /* the registers of sub-leaf 0 */

_start:
    ljmp $0, $main
main:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    cld
    sti

    movw $uart_setup, %si
    movw $(uart_setup_end - uart_setup) / 2, %cx
    movb $COM1_PAGE, %dh
1:  lodsb
    movb %al, %dl
    lodsb
    outb %al, %dx
    loop 1b

round:
    movw $text_start, %si
    call print_text
    xorl %esi, %esi
    call print_range
    movl $0x40000000, %esi
    call print_range
    movl $0x80000000, %esi
    call print_range
    movw $text_end, %si
    call print_text
    movw $TICKS_BETWEEN_ROUNDS, %cx
1:  hlt
    loop 1b
    jmp round

/* All leaves from %esi up. */
print_range:
    movl %esi, %eax
    xorl %ecx, %ecx
    cpuid
    subl %esi, %eax
    cmpl $MOST_LEAVES, %eax
    jbe 1f
    xorl %eax, %eax
1:  leal 1(%eax), %edi            /* leaves left */
2:  xorl %ebp, %ebp
3:  call print_subleaf
    incl %ebp
    cmpl $LAST_SUBLEAF, %ebp
    jbe 3b
    incl %esi
    decl %edi
    jnz 2b
    ret

/* Leaf %esi, sub-leaf %ebp. */
print_subleaf:
    movl %esi, line
    movl %ebp, line + 4
    movl %esi, %eax
    movl %ebp, %ecx
    cpuid
    movl %eax, registers
    movl %ebx, registers + 4
    movl %ecx, registers + 8
    movl %edx, registers + 12
    pushal
    testl %ebp, %ebp
    jz 1f
    cmpl %ebp, %ecx
    jne 6f
    xorl %ecx, %ecx               /* an echo of the number asked for */
6:  orl %ebx, %eax
    orl %ecx, %eax
    orl %edx, %eax
    jz 4f
    movw $registers, %si
    movw $first, %di
    movw $4, %cx
    repe cmpsl
    je 4f
    jmp 2f
1:  movw $registers, %si
    movw $first, %di
    movw $4, %cx
    rep movsl
2:  movw $line, %si
    movw $6, %cx
3:  lodsl
    call print_hex
    movb $' ', %al
    cmpw $1, %cx
    je 5f
    call print_char
5:  loop 3b
    movw $text_newline, %si
    call print_text
4:  popal
    ret

/* %eax as eight digits. Keeps %cx. */
print_hex:
    movb $8, %bl
1:  roll $4, %eax
    pushl %eax
    andb $0x0f, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe 2f
    addb $'a' - '9' - 1, %al
2:  call print_char
    popl %eax
    decb %bl
    jnz 1b
    ret

/* The text at %si, up to its NUL. */
print_text:
    lodsb
    testb %al, %al
    jz 1f
    call print_char
    jmp print_text
1:  ret

/* %al. Clobbers %ah, %dx. */
print_char:
    movb %al, %ah
    movw $COM1_LINE_STATUS, %dx
1:  inb %dx, %al
    testb $TRANSMITTER_EMPTY, %al
    jz 1b
    movw $COM1_DATA, %dx
    movb %ah, %al
    outb %al, %dx
    ret

/* Low byte of the port, value: no interrupts, 115200 baud, 8N1, FIFO on, DTR and RTS. */
uart_setup:
    .byte 0xf9, 0x00
    .byte 0xfb, 0x80
    .byte 0xf8, 0x01
    .byte 0xf9, 0x00
    .byte 0xfb, 0x03
    .byte 0xfa, 0x07
    .byte 0xfc, 0x03
uart_setup_end:

text_start:
    .ascii "INVAR-WITNESS 1"
text_newline:
    .asciz "\r\n"
text_end:
    .asciz "END\r\n"

    .org 446                      /* fails when the code reaches into the partition table */
    .org 510
    .word 0xaa55
    .org 1048576                  /* a disk of 1 MiB, so that no emulator finds it odd */

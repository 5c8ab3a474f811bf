/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of the 16550 UART: PC16550D data sheet (National, 1995), table II.
 * Offsets from the base port.
 */
#ifndef UART16550_REG_H
#define UART16550_REG_H

#define UART_RBR 0u /* read: receive buffer */
#define UART_THR 0u /* write: transmit holding */
#define UART_DLL 0u /* divisor low, with LCR.DLAB */
#define UART_DLM 1u /* divisor high, with LCR.DLAB */
#define UART_IER 1u
#define UART_IIR 2u /* read */
#define UART_FCR 2u /* write */
#define UART_LCR 3u
#define UART_MCR 4u
#define UART_LSR 5u
#define UART_MSR 6u
#define UART_SCR 7u

#define IER_RX_AVAILABLE 0x01u
#define IER_TX_EMPTY     0x02u
#define IER_LINE_STATUS  0x04u
#define FCR_ENABLE       0x01u
#define FCR_CLEAR        0x06u
#define FCR_TRIGGER_8    0x80u
#define LCR_8N1          0x03u
#define LCR_DLAB         0x80u
#define MCR_DTR_RTS_OUT2 0x0bu /* OUT2 gates the interrupt line on PCs */
#define LSR_DATA_READY   0x01u
#define LSR_TX_EMPTY     0x20u

#define UART_CLOCK_BAUD  115200u /* divisor 1 */
#define UART_FIFO_BYTES  16u

#endif

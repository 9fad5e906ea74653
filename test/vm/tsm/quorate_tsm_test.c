/* SPDX-License-Identifier: GPL-2.0 */
/*
 * quorate_tsm_test: a provider of reports for configfs-tsm whose processor is a program.
 *
 * What: registers with the kernel's tsm as "sev_guest" and hands each request to whoever has
 *       /dev/tsm-signer open: read() gives the 64 bytes, write() takes two lengths (native u32) and
 *       then report and certificates.
 * Why: /sys/kernel/config/tsm is then the kernel's own, with its checks, its generation counter and
 *      its errors, on a machine without such a processor. Test equipment: built against Debian's
 *      headers by test/vm/tsm/build.sh, never part of an image.
 */
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/tsm.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#define REPORT_MAX 16384u
#define CERTS_MAX 65536u

static DEFINE_MUTEX(one_request);
static DEFINE_SPINLOCK(lock);
static DECLARE_WAIT_QUEUE_HEAD(asked);
static DECLARE_COMPLETION(answered);
static bool pending, signer;
static u8 question[TSM_INBLOB_MAX];
static struct tsm_report *target;
static int result;

static int
report_new(struct tsm_report *report, void *data)
{
    int err;

    if (report->desc.inblob_len != TSM_INBLOB_MAX) {
        return -EINVAL;
    }
    mutex_lock(&one_request);
    spin_lock(&lock);
    err = signer ? 0 : -ENXIO;
    if (!err) {
        memcpy(question, report->desc.inblob, sizeof question);
        target = report;
        result = -ETIMEDOUT;
        reinit_completion(&answered);
        pending = true;
    }
    spin_unlock(&lock);
    if (!err) {
        wake_up(&asked);
        wait_for_completion_timeout(&answered, 5 * HZ);
        spin_lock(&lock);
        pending = false;
        target = NULL;
        err = result;
        spin_unlock(&lock);
    }
    mutex_unlock(&one_request);
    return err;
}

static ssize_t
signer_read(struct file *f, char __user *to, size_t len, loff_t *at)
{
    u8 copy[TSM_INBLOB_MAX];

    if (len != sizeof copy) {
        return -EINVAL;
    }
    if (wait_event_interruptible(asked, READ_ONCE(pending))) {
        return -EINTR;
    }
    spin_lock(&lock);
    memcpy(copy, question, sizeof copy);
    spin_unlock(&lock);
    return copy_to_user(to, copy, sizeof copy) ? -EFAULT : (ssize_t)sizeof copy;
}

static ssize_t
signer_write(struct file *f, const char __user *from, size_t len, loff_t *at)
{
    u32 n[2];
    u8 *report, *certs;
    ssize_t err = len;

    if (len < sizeof n || copy_from_user(n, from, sizeof n)) {
        return -EFAULT;
    }
    if (n[0] > REPORT_MAX || n[1] > CERTS_MAX || len != sizeof n + n[0] + n[1]) {
        return -EINVAL;
    }
    /* The kernel frees both with kvfree when the entry goes or the next report comes. */
    report = kvzalloc(n[0], GFP_KERNEL);
    certs = n[1] ? kvzalloc(n[1], GFP_KERNEL) : NULL;
    if (!report || (n[1] && !certs)) {
        err = -ENOMEM;
    } else if (copy_from_user(report, from + sizeof n, n[0]) ||
               copy_from_user(certs, from + sizeof n + n[0], n[1])) {
        err = -EFAULT;
    }
    spin_lock(&lock);
    if (err == len && !target) {
        err = -EINVAL;
    }
    if (err == len) {
        target->outblob = report;
        target->outblob_len = n[0];
        target->auxblob = certs;
        target->auxblob_len = n[1];
        target = NULL;
        pending = false;
        result = 0;
        report = certs = NULL;
    }
    spin_unlock(&lock);
    kvfree(report);
    kvfree(certs);
    if (err == len) {
        complete(&answered);
    }
    return err;
}

static int
signer_open(struct inode *i, struct file *f)
{
    int err = 0;

    spin_lock(&lock);
    if (signer) {
        err = -EBUSY;
    }
    signer = true;
    spin_unlock(&lock);
    return err;
}

static int
signer_release(struct inode *i, struct file *f)
{
    spin_lock(&lock);
    signer = false;
    spin_unlock(&lock);
    return 0;
}

static const struct file_operations signer_ops = {
    .owner = THIS_MODULE,
    .open = signer_open,
    .release = signer_release,
    .read = signer_read,
    .write = signer_write,
};
static struct miscdevice signer_dev = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "tsm-signer",
    .fops = &signer_ops,
    .mode = 0600,
};

static bool
attr_visible(int n)
{
    return n == TSM_REPORT_GENERATION || n == TSM_REPORT_PROVIDER || n == TSM_REPORT_PRIVLEVEL ||
           n == TSM_REPORT_PRIVLEVEL_FLOOR;
}

static bool
bin_attr_visible(int n)
{
    return n == TSM_REPORT_INBLOB || n == TSM_REPORT_OUTBLOB || n == TSM_REPORT_AUXBLOB;
}

static const struct tsm_ops ops = {
    .name = "sev_guest",
    .privlevel_floor = 0,
    .report_new = report_new,
    .report_attr_visible = attr_visible,
    .report_bin_attr_visible = bin_attr_visible,
};

static int __init
start(void)
{
    int err = misc_register(&signer_dev);

    if (err) {
        return err;
    }
    err = tsm_register(&ops, NULL);
    if (err) {
        misc_deregister(&signer_dev);
    }
    return err;
}

static void __exit
stop(void)
{
    tsm_unregister(&ops);
    misc_deregister(&signer_dev);
}

module_init(start);
module_exit(stop);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test provider for configfs-tsm");

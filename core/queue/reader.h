/* A queue reader from the inside: the scanner's state (postqueue.c) and the message it is in (reader.c). Only for the files
 * of this folder. */
#ifndef MXSEAL_QUEUE_READER_H
#define MXSEAL_QUEUE_READER_H

#include "group.h"

#define TOKEN_MAX 8192           /* bytes of one string that are looked at */

enum state {
	IN_LINE,          /* between messages */
	IN_SKIP,          /* the rest of a bad line */
	IN_KEY,           /* after '{' or ',' in an object */
	IN_COLON,
	IN_VALUE,
	IN_NEXT,          /* after a value */
	IN_STRING, IN_ESCAPE, IN_UNICODE,
	IN_SCALAR,
};

enum member { M_OTHER, M_QUEUE, M_ID, M_ARRIVAL, M_SIZE, M_SENDER, M_RECIPIENTS, M_ADDRESS, M_REASON };

/* A run of recipients with the same group and reason. */
struct touch { uint32_t group, reason, n; };

struct queue_mirror;
struct queue_reader {
	struct queue_mirror *mirror;  /* messages go there instead of being counted; NULL: none */
	int64_t now;
	enum queue_by by;
	char *destination;
	size_t limit;
	uint32_t server_group;
	bool over;
	int64_t messages, bad;

	enum state state;
	unsigned depth;
	uint64_t arrays;              /* bit d: the container at depth d is an array */
	bool fresh;                   /* nothing yet in the container: it may end */
	bool is_key, wanted;          /* the string being read */
	bool in_recipients;
	enum member key;              /* the member whose value comes */
	char token[TOKEN_MAX];
	size_t token_len;
	bool token_used;              /* the string was cut or has escapes: it is in token */
	unsigned unicode, unicode_digits, high;

	/* the message of this line */
	bool has_id;
	int64_t arrival, size;
	uint32_t sender_group;
	enum queue_state where;
	struct touch *touched;
	uint32_t n_touched, max_touched;
	uint32_t group, reason;       /* of the recipient being read */
	bool matches, has_address;
	struct str id, queue, sender, address, why, first_address, first_why;   /* only while messages are kept */
	int matched;

	struct sums sums;
	char last_domain[256];
	size_t last_domain_len;
	uint32_t last_group;
	struct queue_messages taken;
};

/* What the scanner tells about a message: it begins, a recipient begins and ends, a string belongs to q->key, it is whole. */
void message_begin(struct queue_reader *q);
void recipient_begin(struct queue_reader *q);
void recipient_end(struct queue_reader *q);
void string_value(struct queue_reader *q, const char *s, size_t len);
void message_end(struct queue_reader *q);
/* What string_value does with a member's value. */
void member_say(struct queue_reader *q, enum member key, const char *s);
/* mirror.c: a whole message. */
void mirror_take(struct queue_mirror *m, const struct queue_reader *q);
/* A line that is no message ends. */
void line_cut(struct queue_reader *q);

#endif

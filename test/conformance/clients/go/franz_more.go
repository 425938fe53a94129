package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// more does what not every library can.
func (f franz) more(ctx context.Context, t task, r *result) (err error) {
	switch t["do"] {
	case "acls":
		r.Count, err = f.acls(ctx, t)
		return err
	case "fetch":
		return f.read(ctx, t, r, kgo.ConsumeTopics(t["topic"]), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	case "seek":
		return f.read(ctx, t, r, kgo.ConsumeTopics(t["topic"]), kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(t.int64("time"))))
	case "share":
		return f.read(ctx, t, r, kgo.ShareGroup(t["group"]), kgo.ConsumeTopics(t["topic"]))
	case "fence":
		return f.fence(ctx, t)
	}
	return errUnsupported
}

// read reads as many records as asked for; those of a share group are acknowledged by
// the next poll and by closing.
func (f franz) read(ctx context.Context, t task, r *result, opts ...kgo.Opt) error {
	cl, err := f.open(t, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return f.poll(ctx, cl, t, r)
}

// poll takes what comes until there is enough.
func (franz) poll(ctx context.Context, cl *kgo.Client, t task, r *result) error {
	for r.Count < t.count() {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(one *kgo.Record) { r.add(one.Partition, one.Key, one.Value) })
	}
	return nil
}

func (f franz) acls(ctx context.Context, t task) (n int, err error) {
	cl, err := f.open(t)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	found, err := kadm.NewClient(cl).DescribeACLs(ctx, kadm.NewACLs().Topics(t["topic"]).ResourcePatternType(kadm.ACLPatternLiteral).Operations().Allow().AllowHosts().Deny().DenyHosts())
	for _, one := range found {
		err = errors.Join(err, one.Err)
		n += len(one.Described)
	}
	return n, err
}

// fence lets a second producer take the transactional id of the first.
func (f franz) fence(ctx context.Context, t task) error {
	zombie, err := f.open(t, kgo.TransactionalID(t["transactional"]))
	if err != nil {
		return err
	}
	defer zombie.Close()
	if err := zombie.BeginTransaction(); err != nil {
		return err
	}
	if err := zombie.ProduceSync(ctx, &kgo.Record{Key: []byte("zombie"), Value: []byte("zombie")}).FirstErr(); err != nil {
		return err
	}
	second, err := f.open(t, kgo.TransactionalID(t["transactional"]))
	if err != nil {
		return err
	}
	defer second.Close()
	if err := errors.Join(second.BeginTransaction(), f.send(ctx, second, t, "key-"), second.EndTransaction(ctx, kgo.TryCommit)); err != nil {
		return err
	}
	if err := errors.Join(zombie.ProduceSync(ctx, &kgo.Record{Key: []byte("zombie"), Value: []byte("zombie")}).FirstErr(), zombie.EndTransaction(ctx, kgo.TryCommit)); err == nil {
		return errNotFenced
	}
	return nil
}

// describe asks for a topic as newer admin clients do: by DescribeTopicPartitions, where
// the broker has it.
func (franz) describe(ctx context.Context, cl *kgo.Client, topic string) error {
	versions, err := kadm.NewClient(cl).ApiVersions(ctx)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if _, _, ok := v.KeyVersions(int16(kmsg.DescribeTopicPartitions)); !ok {
			return nil
		}
	}
	one := kmsg.NewDescribeTopicPartitionsRequestTopic()
	one.Topic = topic
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	req.Topics = append(req.Topics, one)
	answer, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	if len(answer.Topics) != 1 || answer.Topics[0].ErrorCode != 0 {
		return fmt.Errorf("DescribeTopicPartitions: %+v", answer.Topics)
	}
	return nil
}

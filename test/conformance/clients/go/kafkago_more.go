package main

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"
)

// more does what not every library can.
func (s segment) more(ctx context.Context, t task, r *result) (err error) {
	switch t["do"] {
	case "acls":
		r.Count, err = s.acls(ctx, t)
		return err
	case "fetch":
		return s.read(ctx, t, r, func(reader *kafka.Reader) error { return reader.SetOffset(0) })
	case "seek":
		return s.read(ctx, t, r, func(reader *kafka.Reader) error { return reader.SetOffsetAt(ctx, time.UnixMilli(t.int64("time"))) })
	}
	return errUnsupported
}

func (segment) acls(ctx context.Context, t task) (n int, err error) {
	c := &kafka.Client{Addr: kafka.TCP(t["bootstrap"])}
	found, err := c.DescribeACLs(ctx, &kafka.DescribeACLsRequest{Filter: kafka.ACLFilter{
		ResourceTypeFilter: kafka.ResourceTypeTopic, ResourceNameFilter: t["topic"], ResourcePatternTypeFilter: kafka.PatternTypeAny,
		Operation: kafka.ACLOperationTypeAny, PermissionType: kafka.ACLPermissionTypeAny,
	}})
	if err != nil {
		return 0, err
	}
	for _, one := range found.Resources {
		n += len(one.ACLs)
	}
	return n, found.Error
}

// read reads all partitions, one after the other, from where place puts the reader.
func (segment) read(ctx context.Context, t task, r *result, place func(*kafka.Reader) error) error {
	c := &kafka.Client{Addr: kafka.TCP(t["bootstrap"])}
	m, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{t["topic"]}})
	if err != nil {
		return err
	}
	var last []kafka.OffsetRequest
	for _, p := range m.Topics[0].Partitions {
		last = append(last, kafka.LastOffsetOf(p.ID))
	}
	ends, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{t["topic"]: last}})
	if err != nil {
		return err
	}
	for _, p := range ends.Topics[t["topic"]] {
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{t["bootstrap"]}, Topic: t["topic"], Partition: p.Partition, MaxWait: 500 * time.Millisecond, MaxBytes: 10_000_000})
		err := place(reader)
		for err == nil && reader.Offset() >= 0 && reader.Offset() < p.LastOffset {
			var m kafka.Message
			if m, err = reader.ReadMessage(ctx); err == nil {
				r.add(int32(m.Partition), m.Key, m.Value)
			}
		}
		if err := errors.Join(err, p.Error, reader.Close()); err != nil {
			return err
		}
	}
	return nil
}

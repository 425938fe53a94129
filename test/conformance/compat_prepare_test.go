//go:build conformance

package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// prepareACL creates one entry for the topic, and returns when every broker has it.
func prepareACL(ctx context.Context, c *realkafka.Cluster, topic string) ([]string, error) {
	return nil, c.Ask(func(client *kgo.Client) error {
		made, err := kadm.NewClient(client).CreateACLs(ctx, kadm.NewACLs().Topics(topic).
			ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead).Allow("User:somebody").AllowHosts())
		for _, one := range made {
			err = errors.Join(err, one.Err)
		}
		for _, b := range c.Brokers {
			if err != nil {
				break
			}
			err = again(ctx, func() error { return listsACL(ctx, client, b.ID, topic) })
		}
		return err
	})
}

// listsACL requests the entries of a topic from one broker.
func listsACL(ctx context.Context, client *kgo.Client, broker int, topic string) error {
	const anything, literal = 1, 3
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourceName, req.ResourcePatternType = kmsg.ACLResourceTypeTopic, &topic, literal
	req.Operation, req.PermissionType = anything, anything
	answer, err := client.Broker(broker).Request(ctx, req)
	if err != nil {
		return err
	}
	if len(answer.(*kmsg.DescribeACLsResponse).Resources) != 1 {
		return fmt.Errorf("broker %d does not have the entry yet", broker)
	}
	return nil
}

// prepareShare makes a share group begin with the oldest record.
func prepareShare(ctx context.Context, c *realkafka.Cluster, topic string) ([]string, error) {
	return nil, c.Ask(func(client *kgo.Client) error { return shareFromOldest(ctx, client, "group-"+topic) })
}

// shareFromOldest configures a share group.
func shareFromOldest(ctx context.Context, client *kgo.Client, group string) error {
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "share.auto.offset.reset", kmsg.StringPtr("earliest")
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	resource.Configs = append(resource.Configs, config)
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, resource)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Resources[0].ErrorCode)
}

// quotaTime is how long the 4 MB of the quota scenario take at least: each of three brokers
// lets its share of one second pass at once and delays the rest.
const quotaTime = time.Second

// prepareQuota limits a client id to 600 KB per second at each broker, and makes brokers
// timestamp the records.
func prepareQuota(ctx context.Context, c *realkafka.Cluster, topic string) ([]string, error) {
	id := "client-" + topic
	return []string{"client=" + id}, c.Ask(func(client *kgo.Client) error {
		altered, err := kadm.NewClient(client).AlterClientQuotas(ctx, []kadm.AlterClientQuotaEntry{{
			Entity: kadm.ClientQuotaEntity{{Type: "client-id", Name: &id}},
			Ops:    []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 600_000}},
		}})
		for _, one := range altered {
			err = errors.Join(err, one.Err)
		}
		return errors.Join(err, stamp(ctx, client, topic))
	})
}

// stamp makes the leaders put their own time into the records of a topic.
func stamp(ctx context.Context, client *kgo.Client, topic string) error {
	answer, err := kadm.NewClient(client).AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "message.timestamp.type", Value: kadm.StringPtr("LogAppendTime")}}, topic)
	for _, one := range answer {
		err = errors.Join(err, one.Err)
	}
	return err
}

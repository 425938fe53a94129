//! One task of the compatibility table with rskafka, which has its own implementation of
//! the protocol and no groups. See ../../README.md.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;

use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use sha2::{Digest, Sha256};

type Task = HashMap<String, String>;
type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the library cannot do.
#[derive(Debug)]
struct Unsupported(String);

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not supported by the client: {}", self.0)
    }
}

impl Error for Unsupported {}

const MIXED: [usize; 7] = [0, 1, 100, 1000, 10_000, 100_000, 900_000];

fn record(task: &Task, i: usize) -> Record {
    let n = match task.get("sizes").map(String::as_str) {
        Some("mixed") => MIXED[i % 7],
        _ => 4 + i * 31 % 197,
    };
    let mut value = vec![(i % 251) as u8; n];
    if n >= 4 {
        value[n - 4..].copy_from_slice(&(i as u32).to_be_bytes());
    }
    let mut headers = BTreeMap::new();
    if task.get("headers").is_some_and(|h| h == "true") {
        headers.insert("n".to_owned(), i.to_string().into_bytes());
    }
    Record {
        key: Some(format!("key-{i}").into_bytes()),
        value: Some(value),
        headers,
        timestamp: chrono::Utc::now(),
    }
}

fn compression(task: &Task) -> Outcome<Compression> {
    Ok(
        match task.get("compression").map_or("none", String::as_str) {
            "none" => Compression::NoCompression,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            other => return Err(Unsupported(other.to_owned()).into()),
        },
    )
}

/// A client for each partition of the topic.
async fn partitions(client: &Client, task: &Task) -> Outcome<Vec<PartitionClient>> {
    let topics = client.list_topics().await?;
    let topic = topics
        .into_iter()
        .find(|t| t.name == task["topic"])
        .ok_or("the topic is not there")?;
    let mut all = Vec::new();
    for p in topic.partitions {
        all.push(
            client
                .partition_client(&topic.name, p, UnknownTopicHandling::Error)
                .await?,
        );
    }
    Ok(all)
}

/// Records go to the partitions in turn: choosing one by the key is left to the caller.
async fn produce(client: &Client, task: &Task) -> Outcome<String> {
    if task.get("acks").is_some_and(|a| a != "-1") {
        return Err(Unsupported("acks other than -1".into()).into());
    }
    if task.get("idempotent").is_some_and(|i| i == "true") {
        return Err(Unsupported("idempotent producers".into()).into());
    }
    let count: usize = task["count"].parse()?;
    let all = partitions(client, task).await?;
    // Brokers take batches of 1 MB.
    let batch = if task.get("sizes").is_some_and(|s| s == "mixed") {
        1
    } else {
        50
    };
    for (number, partition) in all.iter().enumerate() {
        let own: Vec<Record> = (number..count)
            .step_by(all.len())
            .map(|i| record(task, i))
            .collect();
        for records in own.chunks(batch) {
            partition
                .produce(records.to_vec(), compression(task)?)
                .await?;
        }
    }
    Ok(format!("{{\"count\": {count}}}"))
}

/// Reads the partitions from their beginnings to their ends.
async fn fetch(client: &Client, task: &Task) -> Outcome<String> {
    let (mut total, mut parts) = (0, Vec::new());
    for partition in partitions(client, task).await? {
        let mut offset = partition.get_offset(OffsetAt::Earliest).await?;
        let end = partition.get_offset(OffsetAt::Latest).await?;
        let (mut count, mut sum) = (0, Sha256::new());
        while offset < end {
            let (records, _) = partition.fetch_records(offset, 1..1_000_000, 500).await?;
            for r in records {
                for part in [
                    r.record.key.unwrap_or_default(),
                    r.record.value.unwrap_or_default(),
                ] {
                    sum.update((part.len() as i32).to_be_bytes());
                    sum.update(part);
                }
                count += 1;
                offset = r.offset + 1;
            }
        }
        if count > 0 {
            let hex: String = sum.finalize().iter().map(|b| format!("{b:02x}")).collect();
            parts.push(format!(
                "\"{}\": {{\"count\": {count}, \"sha256\": \"{hex}\"}}",
                partition.partition()
            ));
            total += count;
        }
    }
    Ok(format!(
        "{{\"count\": {total}, \"partitions\": {{{}}}}}",
        parts.join(", ")
    ))
}

/// It has no list of brokers to count.
async fn admin(client: &Client, task: &Task) -> Outcome<String> {
    let made = format!("{}-made", task["topic"]);
    let controller = client.controller_client()?;
    controller.create_topic(&made, 3, 1, 30_000).await?;
    client.list_topics().await?;
    controller.delete_topic(&made, 30_000).await?;
    Ok("{\"count\": -1}".to_owned())
}

async fn run(task: &Task) -> Outcome<String> {
    let task_name = task["do"].as_str();
    if !["produce", "fetch", "admin"].contains(&task_name) {
        return Err(Unsupported(task_name.to_owned()).into());
    }
    let client = ClientBuilder::new(vec![task["bootstrap"].clone()])
        .build()
        .await?;
    for word in ["idle", "rack", "client"] {
        if task.contains_key(word) {
            return Err(Unsupported(word.to_owned()).into());
        }
    }
    match task_name {
        "produce" => produce(&client, task).await,
        "fetch" => fetch(&client, task).await,
        _ => admin(&client, task).await,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words = std::env::args().skip(1);
    let task: Task = words
        .filter_map(|w| w.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
        .collect();
    match run(&task).await {
        Ok(line) => println!("{line}"),
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(if e.is::<Unsupported>() { 3 } else { 1 });
        }
    }
}

//! `DATA/meta.redb`: what is kept beside the days, in tables of those who keep it (counts, anomalies, incidents).
//!
//! redb refuses all work after an I/O error, such as a full disk, until its file is opened anew. That happens here,
//! at the next transaction, so that a disk that has room again is all it takes to go on.

use std::path::PathBuf;

use parking_lot::RwLock;
use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError, TransactionError, WriteTransaction,
};

/// Memory for pages of anomalies, incidents and messages: bytes. The default, 1 GiB, is made for databases that are a whole program.
const CACHE_BYTES: usize = 16 << 20;

/// A redb database that comes back after an I/O error.
pub struct Meta {
    /// Nothing between closing and an opening that failed.
    database: RwLock<Option<Database>>,
    open: Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>,
}

impl Meta {
    /// Opens the file at `path`, which is made where there is none.
    pub fn open(path: PathBuf) -> Result<Self, DatabaseError> {
        Self::open_with(move || Database::builder().set_cache_size(CACHE_BYTES).create(&path))
    }

    /// On no disk: for what is tried and thrown away.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        Self::open_with(|| Database::builder().create_with_backend(InMemoryBackend::new()))
    }

    fn open_with(
        open: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Result<Self, DatabaseError> {
        Ok(Self { database: RwLock::new(Some(open()?)), open: Box::new(open) })
    }

    /// Waits for the write transaction that is under way.
    pub fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        self.begin(Database::begin_write)
    }

    pub fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        self.begin(|database| database.begin_read())
    }

    fn begin<T>(&self, begin: impl Fn(&Database) -> Result<T, TransactionError>) -> Result<T, redb::Error> {
        if let Some(database) = &*self.database.read() {
            match begin(database) {
                Err(TransactionError::Storage(StorageError::PreviousIo)) => {}
                begun => return Ok(begun?),
            }
        }
        let mut database = self.database.write();
        // Another thread may have opened it anew meanwhile.
        if let Some(open) = &*database {
            match begin(open) {
                Err(TransactionError::Storage(StorageError::PreviousIo)) => {}
                begun => return Ok(begun?),
            }
        }
        // Closed first: the file is locked by whoever has it open.
        *database = None;
        let opened = (self.open)()?;
        tracing::warn!("opened meta.redb anew after an I/O error");
        Ok(begin(database.insert(opened))?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use redb::{ReadableTable, StorageBackend, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<u64, u64> = TableDefinition::new("numbers");

    /// A disk that takes nothing while `is_full`.
    #[derive(Debug, Clone)]
    struct Disk {
        bytes: Arc<InMemoryBackend>,
        is_full: Arc<AtomicBool>,
    }

    impl Disk {
        fn room(&self) -> Result<(), std::io::Error> {
            match self.is_full.load(Ordering::Relaxed) {
                true => Err(std::io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> Result<u64, std::io::Error> {
            self.bytes.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
            self.bytes.read(offset, out)
        }
        fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
            self.room()?;
            self.bytes.set_len(len)
        }
        fn sync_data(&self) -> Result<(), std::io::Error> {
            self.room()
        }
        fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
            self.room()?;
            self.bytes.write(offset, data)
        }
    }

    fn put(meta: &Meta, number: u64) -> Result<(), redb::Error> {
        let write = meta.begin_write()?;
        write.open_table(TABLE)?.insert(number, number)?;
        Ok(write.commit()?)
    }

    fn numbers(meta: &Meta) -> Result<Vec<u64>, redb::Error> {
        let table = meta.begin_read()?.open_table(TABLE)?;
        table.iter()?.map(|row| Ok(row?.0.value())).collect()
    }

    #[test]
    fn a_disk_that_has_room_again_is_written_to_again() {
        let disk = Disk { bytes: Arc::default(), is_full: Arc::default() };
        let meta = Meta::open_with({
            let disk = disk.clone();
            move || Database::builder().create_with_backend(disk.clone())
        })
        .unwrap();
        put(&meta, 1).unwrap();
        disk.is_full.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            put(&meta, 2).unwrap_err();
        }
        disk.is_full.store(false, Ordering::Relaxed);
        put(&meta, 3).unwrap();
        let found = numbers(&meta).unwrap();
        assert!(found == [1, 3] || found == [1, 2, 3], "{found:?}");
    }

    #[test]
    fn a_reader_that_is_not_done_keeps_nobody_from_going_on() {
        let disk = Disk { bytes: Arc::default(), is_full: Arc::default() };
        let meta = Meta::open_with({
            let disk = disk.clone();
            move || Database::builder().create_with_backend(disk.clone())
        })
        .unwrap();
        put(&meta, 1).unwrap();
        let reader = meta.begin_read().unwrap();
        disk.is_full.store(true, Ordering::Relaxed);
        put(&meta, 2).unwrap_err();
        disk.is_full.store(false, Ordering::Relaxed);
        put(&meta, 3).unwrap();
        drop(reader);
        assert!(numbers(&meta).unwrap().contains(&3));
    }

    #[test]
    fn a_file_can_be_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let meta = Meta::open(dir.path().join("meta.redb")).unwrap();
        put(&meta, 1).unwrap();
        *meta.database.write() = None;
        put(&meta, 2).unwrap();
        assert_eq!(numbers(&meta).unwrap(), [1, 2]);
    }
}

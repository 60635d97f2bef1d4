//! The bill of a day over v2: the text itself, or XML if there is none.

use super::answer::{Answer, Outcome, Problem};
use super::routes::Task;
use crate::payment::sandbox::bills::{self, BillError, Book};

pub(super) async fn download(task: &Task) -> Outcome {
    let date = task.required("bill_date")?;
    let is_zipped = match task.optional("tar_type") {
        None => false,
        Some("GZIP") => true,
        Some(_) => return Err(Problem::transport("20100", "tar_type is GZIP or nothing")),
    };
    let book = Book::of_type(task.optional("bill_type").unwrap_or("ALL"));
    match bills::of_day(&task.sandbox, book, date).await {
        Ok(text) => {
            let file = if is_zipped { bills::gzipped(&text) } else { Some(text.into_bytes()) };
            Ok(Answer { file: Some(file.ok_or_else(Problem::system_error)?), ..Answer::default() })
        }
        Err(BillError::Date) => Err(Problem::transport("20001", "invalid bill_date")),
        Err(BillError::Empty) => Err(Problem::transport("20002", "No Bill Exist")),
        Err(BillError::Failed(error)) => Err(error.into()),
    }
}

select * from {{ ref('loud') }} where no_such
